"""Several processes on one machine: small networks leave a GPU, or a second core, idle.

They share the study as any processes do that are started by hand in the same folder.
"""

import multiprocessing
import os
from pathlib import Path

import torch

from regard.compare.run_study import run
from regard.compare.study import Study
from regard.core.errors import InputError
from regard.tasks import Machine


def run_side_by_side(study: Study, out: Path, *, machine: Machine, processes: int) -> None:
    """Run a study with so many processes, this one among them.

    Where they train on the CPU, they share out its cores.

    Raises:
        InputError: fewer than one process.

    """
    if processes < 1:
        raise InputError(f"processes={processes}; give 1 or more")
    # A forked process would inherit torch's threads in whatever state they are in.
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // processes)
    others = [
        context.Process(target=_one, args=(study, out, machine, threads), daemon=True)
        for _ in range(processes - 1)
    ]
    for other in others:
        other.start()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run(study, out, machine=machine)
    finally:
        torch.set_num_threads(before)
        for other in others:
            other.terminate()
            other.join()


def _one(study: Study, out: Path, machine: Machine, threads: int) -> None:
    torch.set_num_threads(threads)
    run(study, out, machine=machine, quiet=True)
