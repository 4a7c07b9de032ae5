"""Doing trials: each is done once, by whichever process has its lock."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from regard.compare.progress import StudyProgress
from regard.compare.several_devices import on_several_devices
from regard.compare.store import Store
from regard.compare.study import Study
from regard.compare.task import METRICS, train_trial
from regard.compare.trial import Trial
from regard.core.run_files import is_finished, read_config
from regard.tasks import Machine
from regard.train import Diverged
from regard.train.journal import read_journal

Chosen = tuple[Trial, float | None]
"""A trial, and its learning rate where the study looked for one."""

Way = Callable[[Store, Study, Sequence[Chosen], Machine, StudyProgress], None]
"""How trials are done; when it returns all of them are."""

_SECONDS_BETWEEN_LOOKS = 2.0


def in_turn(
    store: Store,
    study: Study,
    trials: Sequence[Chosen],
    machine: Machine,
    progress: StudyProgress,
) -> None:
    """Do one trial after the other, leaving those to other processes that they work on.

    A lock is the operating system's: it is gone with the process that held it, so that a trial
    whose process was killed is taken up by another one.
    """
    left = list(trials)
    while left:
        for trial, rate in left:
            if store.run(trial) is None:
                _try(store, study, trial, rate, machine, progress)
        left = [chosen for chosen in left if store.run(chosen[0]) is None]
        if left:
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _try(
    store: Store,
    study: Study,
    trial: Trial,
    rate: float | None,
    machine: Machine,
    progress: StudyProgress,
) -> None:
    """Do a trial, unless another process does."""
    folder = trial.folder(store.path.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.parent / f"{folder.name}.lock", timeout=0):
            # The process that had the lock a moment ago may have finished the trial.
            if store.run(trial) is None:
                progress.begun(trial)
                store.add_run(trial, done(study, trial, rate, folder, machine))
                progress.ended(trial)
    except Timeout:
        return


def done(
    study: Study, trial: Trial, rate: float | None, folder: Path, machine: Machine
) -> dict[str, Any]:
    """Train a trial, or go on with it, and return its row."""
    if not is_finished(folder):
        try:
            trained = on_several_devices if machine.devices > 1 else train_trial
            trained(study, trial, rate, folder, machine)
        except Diverged as error:
            return {"diverged": str(error), "curves": read_journal(folder)}
    return row_of(folder)


def row_of(folder: Path) -> dict[str, Any]:
    """Return what a study keeps of a finished run."""
    config, lines = read_config(folder), read_journal(folder)
    row = {
        "curves": lines,
        "images_per_second": statistics.median(line["images_per_second"] for line in lines),
        **{name: config[name] for name in ("parameters", "hardware", "precision", "date")},
        "lr": config["recipe"]["lr"],
        "versions": config["versions"],
    }
    fingerprint = config.get("data", {}).get("fingerprint")
    if fingerprint is not None:
        row["data"] = fingerprint
    reached = lines[-1].get(f"validation_{METRICS[config['task']]}")
    if reached is not None:
        row["validation"] = reached
    return row
