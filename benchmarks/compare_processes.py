"""A study with one run after the other, and with runs side by side (`--processes`).

Small networks leave a GPU, or a second core, idle. The same study is run in both ways in turns;
each starts from an empty folder, so that starting the processes counts: much in runs of an epoch,
less in longer ones. Runs are a few epochs of a ResNet-8 on 10,000 synthetic scenes.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from interleaved import interleaved, ratio
from regard.compare import Study, run
from regard.compare.side_by_side import run_side_by_side
from regard.tasks import Machine
from regard.train import Recipe
from result import record


def main() -> None:
    """Time both ways, and write `results/compare_processes.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    torch.set_num_threads(cores)
    figures: dict[str, Any] = {
        "what": f"{options.runs} runs with {cores} threads each, over the same runs in "
        f"{options.processes} processes of {cores // options.processes} threads each",
    }
    for epochs in options.epochs:
        study = study_of(options.runs, epochs)
        ways = {
            "one after the other": partial(in_new_folder, study, 1),
            "side by side": partial(in_new_folder, study, options.processes),
        }
        seconds, _ = interleaved(ways, options.rounds, warm_up=False)
        figures[f"times faster side by side, epochs = {epochs}"] = ratio(*seconds.values())
    record("compare_processes", figures, n=options.rounds)


def study_of(runs: int, epochs: int) -> Study:
    """Return a study of one variant and as many seeds as runs are wanted."""
    return Study(
        "processes",
        models=("resnet8",),
        attention=(),
        seeds=runs,
        recipe=Recipe(epochs=epochs),
        match="none",
    )


def in_new_folder(study: Study, processes: int) -> None:
    """Run a study where nothing is finished yet."""
    with tempfile.TemporaryDirectory() as place:
        if processes == 1:
            run(study, Path(place), machine=Machine(), quiet=True)
        else:
            run_side_by_side(study, Path(place), machine=Machine(), processes=processes)


if __name__ == "__main__":
    main()
