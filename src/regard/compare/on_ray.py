"""A study on a Ray cluster: each trial runs on some machine, and the driver alone writes.

A run comes back as the bytes of its files, so that the machines need not share a file system. The
data have to lie in the same place on each of them.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from regard.compare.progress import StudyProgress
from regard.compare.store import Store
from regard.compare.study import Study
from regard.compare.trial import Trial
from regard.compare.work import Chosen, Way, done, in_turn
from regard.core.errors import RegardError
from regard.core.files import output_folder, write_bytes
from regard.core.run_files import CARD, CONFIG, WEIGHTS
from regard.tasks import Machine
from regard.tasks.cluster import cluster

RETRIES = 2
"""Times that a trial is begun anew whose worker was lost."""

# The weights are written last: their presence says that the run is finished.
_FILES = ("metrics.jsonl", CONFIG, CARD, WEIGHTS)

Returned = tuple[dict[str, Any], dict[str, bytes]]
"""A trial's row, and the files of its run."""


def on_ray(address: str, *, cpus: int | float = 1, gpus: int | float = 0) -> Way:
    """Return the way of doing trials on a cluster, for `regard.compare.run(…, way=…)`.

    Args:
        address: of the cluster, as `ray.init` takes it; `local` for this machine alone.
        cpus: of a trial; also the threads that it trains with.
        gpus: of a trial; a share lets several trials run on one GPU.

    """

    def way(
        store: Store,
        study: Study,
        trials: Sequence[Chosen],
        machine: Machine,
        progress: StudyProgress,
    ) -> None:
        if any(store.run(trial) is None for trial, _ in trials):
            with cluster(address) as ray, ExitStack() as locks:
                train = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(train_there)
                sent = {
                    train.remote(study, trial, rate, machine, max(1, int(cpus))): trial
                    for trial, rate in _ours(store, trials, locks)
                }
                _gather(ray, store, sent, progress)
        # What other processes work on is waited for as without a cluster.
        in_turn(store, study, trials, machine, progress)

    return way


def _ours(store: Store, trials: Sequence[Chosen], locks: ExitStack) -> list[Chosen]:
    """Return the trials that are left and that no other process works on."""
    found: list[Chosen] = []
    for trial, rate in trials:
        folder = trial.folder(store.path.parent)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            locks.enter_context(FileLock(folder.parent / f"{folder.name}.lock", timeout=0))
        except Timeout:
            continue
        if store.run(trial) is None:
            found.append((trial, rate))
    return found


def _gather(ray: Any, store: Store, sent: dict[Any, Trial], progress: StudyProgress) -> None:
    """Keep each run as it comes back; a lost one does not stop the others."""
    lost: list[Trial] = []
    waiting = list(sent)
    while waiting:
        (ready,), waiting = ray.wait(waiting, num_returns=1)
        trial = sent[ready]
        try:
            row, files = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RegardError):
                raise error.cause from error
            raise
        except ray.exceptions.RayError:
            lost.append(trial)
            continue
        _write(trial.folder(store.path.parent), files)
        store.add_run(trial, row)
        progress.ended(trial)
    if lost:
        raise RegardError(
            f"{len(lost)} of {len(sent)} runs were lost with their workers {RETRIES + 1} times "
            f"(the first: {lost[0].words}); the others are kept, and the same command tries again"
        )


def _write(folder: Path, files: dict[str, bytes]) -> None:
    output_folder(folder)
    for name, content in files.items():
        write_bytes(folder / name, content)


def train_there(
    study: Study, trial: Trial, rate: float | None, machine: Machine, threads: int
) -> Returned:
    """Train a trial; this is what runs on a worker.

    Args:
        study: the study.
        trial: one of its trials.
        rate: the learning rate; None for the recipe's.
        machine: where to train.
        threads: of the CPU.

    """
    torch.set_num_threads(min(threads, os.cpu_count() or 1))
    with tempfile.TemporaryDirectory(prefix="regard-") as place:
        folder = Path(place) / "run"
        row = done(study, trial, rate, folder, machine)
        files = [folder / name for name in _FILES if (folder / name).is_file()]
        return row, {path.name: path.read_bytes() for path in files}
