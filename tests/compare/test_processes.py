"""Trials that several processes train: side by side, and together on several devices."""

import pytest
import torch

from regard.compare import Study, run
from regard.compare.side_by_side import run_side_by_side
from regard.compare.store import Store
from regard.core.errors import InputError
from regard.tasks import Machine
from regard.train import Recipe

QUICK = Machine(device="cpu", precision="fp32", workers=0)


def study(pictures, **changes):
    told = {"attention": ("eca",), "seeds": 2, "recipe": Recipe(epochs=1, batch_size=16)}
    return Study(
        "small",
        data=str(pictures),
        models=("resnet8(width=2)",),
        match="none",
        **{**told, **changes},
    )


def values(found):
    return {variant["name"]: variant["values"] for variant in found["variants"]}


@pytest.mark.slow
def test_two_processes_reach_what_one_does_and_train_each_run_once(pictures, tmp_path):
    alone = run(study(pictures), tmp_path / "alone", machine=QUICK, quiet=True)
    threads = torch.get_num_threads()
    run_side_by_side(study(pictures), tmp_path / "two", machine=QUICK, processes=2)
    assert torch.get_num_threads() == threads
    together = run(study(pictures), tmp_path / "two", machine=QUICK, quiet=True)
    assert values(together) == values(alone)


def test_no_process_at_all_is_refused(pictures, tmp_path):
    with pytest.raises(InputError, match="processes=0"):
        run_side_by_side(study(pictures), tmp_path, machine=QUICK, processes=0)


@pytest.mark.slow
def test_one_trial_on_two_devices_is_one_run(pictures, tmp_path):
    machine = Machine(device="cpu", precision="fp32", devices=2, workers=0)
    asked = study(pictures, attention=(), seeds=1)
    found = run(asked, tmp_path, machine=machine, quiet=True)
    assert found["variants"][0]["seeds"] == [0]
    with Store(tmp_path) as store:
        (kept,) = store.fact("variants")
    assert kept["role"] == "plain"


@pytest.mark.slow
def test_a_trial_that_cannot_be_trained_on_several_devices_says_so(pictures, tmp_path):
    machine = Machine(device="cpu", precision="fp32", devices=2, workers=0)
    asked = study(pictures, attention=(), seeds=1, recipe=Recipe(epochs=1, batch_size=15))
    with pytest.raises(InputError, match="failed on 2 devices"):
        run(asked, tmp_path, machine=machine, quiet=True)
