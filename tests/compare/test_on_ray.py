"""A study on a local Ray: the runs of this process, and a lost worker costs one trial."""

import os
import signal

import pytest

from regard.compare import on_ray, run
from regard.compare.study import Study
from regard.core.errors import RegardError
from regard.tasks import Machine
from regard.train import Recipe

pytest.importorskip("ray", reason="needs the extra cluster: pip install 'regard[cluster]'")
pytestmark = pytest.mark.slow

QUICK = Machine(device="cpu", precision="fp32", workers=0)


def dying(mark, times):
    """Return what trains a trial, once workers have been killed so many times."""

    def train(*given):
        deaths = len(list(mark.iterdir()))
        if deaths < times:
            (mark / str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        # On the worker nobody has put this function in the place of the real one.
        from regard.compare.on_ray import train_there

        return train_there(*given)

    return train


def study(pictures):
    recipe = Recipe(epochs=1, batch_size=16)
    return Study(
        "small",
        data=str(pictures),
        models=("resnet8(width=2)",),
        attention=("eca",),
        seeds=2,
        match="none",
        recipe=recipe,
    )


def values(found):
    return {variant["name"]: variant["values"] for variant in found["variants"]}


def test_a_cluster_gives_the_runs_of_this_process_though_a_worker_is_killed(
    pictures, tmp_path, monkeypatch
):
    here = run(study(pictures), tmp_path / "here", machine=QUICK, quiet=True)
    mark = tmp_path / "deaths"
    mark.mkdir()
    monkeypatch.setattr(on_ray, "train_there", dying(mark, 1))
    way = on_ray.on_ray("local", cpus=1)
    there = run(study(pictures), tmp_path / "there", machine=QUICK, way=way, quiet=True)
    assert len(list(mark.iterdir())) == 1
    assert values(there) == values(here)


def test_a_worker_that_always_dies_is_said_and_nothing_else_is_lost(
    pictures, tmp_path, monkeypatch
):
    mark = tmp_path / "deaths"
    mark.mkdir()
    monkeypatch.setattr(on_ray, "train_there", dying(mark, 10**6))
    with pytest.raises(RegardError, match=r"4 of 4 runs were lost.*same command tries again"):
        run(
            study(pictures),
            tmp_path / "study",
            machine=QUICK,
            way=on_ray.on_ray("local", cpus=1),
            quiet=True,
        )
