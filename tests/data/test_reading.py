"""Reading goes on past what is broken, and says so once."""

import pytest
import torch

from regard.core.errors import InputError
from regard.data.reading import Reader, Unreadable, reading_workers


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


@pytest.mark.parametrize(
    ("asked", "in_memory", "device", "expected"),
    [(3, True, "cpu", 3), (0, False, "cpu", 0), (None, True, "cpu", 0)],
)
def test_workers_are_those_asked_for_or_none_beside_a_network_on_the_same_cores(
    asked, in_memory, device, expected
):
    found = reading_workers(asked, in_memory=in_memory, device=torch.device(device))
    assert found == expected


@pytest.mark.parametrize(("in_memory", "device"), [(False, "cpu"), (True, "cuda")])
def test_files_and_gpus_are_worked_for_by_a_process_a_core(in_memory, device, monkeypatch):
    for cores, expected in ((2, 2), (64, 8), (None, 1)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        where = torch.device(device)
        assert reading_workers(None, in_memory=in_memory, device=where) == expected
