"""Reading goes on past what is broken, and says so once."""

import pytest
import torch

from regard.core.errors import InputError
from regard.data.reading import Reader, Unreadable


class Echo(torch.utils.data.Dataset):
    def __getitem__(self, key):
        return key


def test_steps_are_read_in_order_with_their_epoch():
    read = Reader(Echo(), 0)
    steps = [torch.tensor([2, 0]), torch.tensor([1])]
    assert list(read(5, steps)) == [[(5, 2), (5, 0)], [(5, 1)]]
    assert list(read(6, steps[1:])) == [[(6, 1)]]


def test_reading_draws_nothing_from_the_global_generator():
    before = torch.get_rng_state()
    list(Reader(Echo(), 0)(0, [torch.tensor([0])]))
    assert torch.get_rng_state().equal(before)


def test_a_problem_is_said_once(caplog):
    found = Unreadable()
    assert found.readable([None, ("b.png", "b.png is broken")]).tolist() == [True, False]
    assert found.readable([("b.png", "b.png is broken"), None]).tolist() == [False, True]
    assert found == {"b.png": "b.png is broken"}
    assert [record.getMessage() for record in caplog.records] == ["left out: b.png is broken"]


def test_a_batch_of_nothing_but_problems_is_an_error():
    with pytest.raises(InputError, match="no image of a whole batch can be used: a is broken"):
        Unreadable().readable([("a", "a is broken"), ("b", "b is broken")])
    assert not len(Unreadable().readable([]))  # a rank without images in the last batch
