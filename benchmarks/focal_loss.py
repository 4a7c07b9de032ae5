"""Focal loss against plain cross-entropy for RetinaNet on BCCD, at the same budget.

The recipe is that of `bccd.py` with half the pixels on each side and half the epochs; only the
class loss differs (γ = 0 and no α is the paper's baseline), and both start from the paper's prior
of 1 %. A seed gives both the same first weights, order of images and augmentation, and they are
compared seed by seed. Runs lie in a folder and are gone on with: interrupt it as you like. The
test images are read once, when every run is finished.
"""

import argparse
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bccd import options
from regard.compare.statistics import difference, summary
from regard.core.run_files import is_finished, read_config
from regard.tasks import DetectOptions, Machine, detect, evaluate
from result import record
from run_pace import seconds_an_epoch

LOSSES = ("focal", "cross_entropy")
METRICS = ("mAP50", "mAP50_95")
SIZE = (192, 256)


def main() -> None:
    """Train what is missing, evaluate when nothing is, and write `results/focal_loss.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("REGARD_DATA", ".") + "/bccd")
    parser.add_argument("--runs", type=Path, default=Path("runs/focal_loss"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--only", choices=LOSSES, help="train no other now")
    parser.add_argument("--precision", default="auto")
    chosen = parser.parse_args()
    if chosen.seeds < 3:
        parser.error(f"--seeds {chosen.seeds}: a difference needs a spread; give 3 or more")
    wanted = {
        (loss, seed): trial(chosen.data, loss, seed, chosen.epochs)
        for seed in range(chosen.seeds)
        for loss in LOSSES
    }
    folders = {(loss, seed): chosen.runs / f"{loss}-{seed}" for loss, seed in wanted}
    other = [str(each) for each in folders.values() if epochs_of(each) not in (None, chosen.epochs)]
    if other:
        parser.error(f"{', '.join(other)} were trained for other than {chosen.epochs} epochs")
    for (loss, seed), each in wanted.items():
        if not is_finished(folders[loss, seed]) and chosen.only in (None, loss):
            machine = Machine(precision=chosen.precision)
            detect.train(each, folders[loss, seed], machine=machine)
    missing = [str(folder) for folder in folders.values() if not is_finished(folder)]
    if missing:
        print(f"the test images are read when all runs are finished; missing: {', '.join(missing)}")
        return
    found = {key: evaluate(folder, chosen.data).to_json() for key, folder in folders.items()}
    figures: dict[str, Any] = {
        loss: of_loss(loss, found, folders, range(chosen.seeds)) for loss in LOSSES
    }
    figures["focal_minus_cross_entropy"] = {
        f"test_{metric}": compared(metric, found, range(chosen.seeds)) for metric in METRICS
    }
    figures |= {"epochs": chosen.epochs, "test_images": found[LOSSES[0], 0]["images"]}
    record("focal_loss", figures, n=chosen.seeds)


def trial(data: str, loss: str, seed: int, epochs: int) -> DetectOptions:
    """Return how one network is trained."""
    recipe = options("retinanet", data, epochs=epochs, size=SIZE)
    return replace(recipe, model_options={"loss": loss}, seed=seed)


def epochs_of(folder: Path) -> int | None:
    """Return how many epochs a finished run was trained for."""
    return read_config(folder)["recipe"]["epochs"] if is_finished(folder) else None


def of_loss(
    loss: str,
    found: dict[tuple[str, int], Any],
    folders: dict[tuple[str, int], Path],
    seeds: Iterable[int],
) -> dict[str, Any]:
    """Return the mean over seeds of each metric, its 95 % interval, and the seeds themselves."""
    figures: dict[str, Any] = {}
    for metric in METRICS:
        values = [found[loss, seed][metric] for seed in seeds]
        over = summary(values)
        figures[f"test_{metric}"] = {
            "mean": shortened(over.mean),
            "interval": [shortened(over.low), shortened(over.high)],
            "seeds": [shortened(value) for value in values],
        }
    pace = [seconds_an_epoch(folders[loss, seed]) for seed in seeds]
    return {**figures, "training_seconds_an_epoch": pace}


def compared(metric: str, found: dict[tuple[str, int], Any], seeds: Iterable[int]) -> Any:
    """Return focal loss minus cross-entropy, seed by seed."""
    focal, plain = ([found[loss, seed][metric] for seed in seeds] for loss in LOSSES)
    over = difference(focal, plain)
    return {
        "mean": shortened(over.mean),
        "interval": [shortened(over.low), shortened(over.high)],
        "p": over.p,
        "seeds": [shortened(ours - theirs) for ours, theirs in zip(focal, plain, strict=True)],
    }


def shortened(value: float | None) -> float | None:
    """Return four digits behind the point."""
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    main()
