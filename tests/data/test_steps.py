"""Every image is shown once an epoch, and in the same order whenever it is asked for."""

import pytest
import torch

from regard.core.errors import InputError
from regard.data.steps import Steps


def steps(samples=11, batch_size=4, **changes):
    usual = {"seed": 3, "shuffle": True, "drop_last": False, "rank": 0, "ranks": 1}
    return Steps(samples, batch_size, **usual | changes)


def shown(found):
    return torch.cat([chosen for _, chosen in found]).tolist()


def test_an_epoch_shows_every_image_once_and_the_next_in_another_order():
    first, second = shown(steps()(0)), shown(steps()(1))
    assert sorted(first) == sorted(second) == list(range(11))
    assert first != second
    assert first != list(range(11))
    assert first != shown(steps(seed=4)(0))
    assert shown(steps(shuffle=False)(1)) == list(range(11))


def test_an_epoch_can_be_entered_at_any_step():
    whole, rest = steps()(2), steps()(2, 1)
    assert [number for number, _ in rest] == [1, 2]
    assert shown(rest) == shown(whole[1:])


def test_the_last_batch_is_left_out_where_it_is_not_full():
    assert len(steps()) == 3
    assert [len(chosen) for _, chosen in steps()(0)] == [4, 4, 3]
    assert len(steps(drop_last=True)) == 2
    assert [len(chosen) for _, chosen in steps(drop_last=True)(0)] == [4, 4]


def test_the_ranks_share_out_every_batch():
    parts = [
        [chosen[s.mine] for _, chosen in s(0)] for s in (steps(rank=r, ranks=2) for r in (0, 1))
    ]
    for whole, ours, theirs in zip(steps()(0), *parts, strict=True):
        assert sorted([*ours.tolist(), *theirs.tolist()]) == sorted(whole[1].tolist())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "give a positive multiple of 1"),
        ({"batch_size": 3, "ranks": 2}, "give a positive multiple of 2"),
        ({"rank": 1}, "give 0 to 0"),
        ({"samples": 3, "drop_last": True}, "give a smaller batch_size"),
    ],
)
def test_what_makes_no_batch_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        steps(**changes)
