"""mAP on BCCD's test images: three detectors without attention.

One run each, with its bootstrap interval over images; the test images are read once, at the end.
Whether attention helps is another question, and `configs/bccd_attention.py` asks it.
Runs lie in a folder and are gone on with: interrupt it as you like.
"""

import argparse
import os
from pathlib import Path

from regard.core.run_files import is_finished, read_config
from regard.data.box_augment import BoxAugment
from regard.tasks import DetectOptions, Machine, detect, evaluate
from regard.tasks.detect import detection_recipe
from result import record
from run_pace import seconds_an_epoch


def options(
    model: str, data: str, *, epochs: int = 30, size: tuple[int, int] = (384, 512)
) -> DetectOptions:
    """Return the recipe: an ImageNet backbone, half frozen; cells have no up, and vary in size.

    Chosen by the validation images: twice the epochs at three quarters of the size, without
    mosaics, were best after 25 and worse from then on.
    """
    return DetectOptions(
        data=data,
        model=model,
        backbone="photo:efficientnet-lite0(freeze=2)",
        size=size,
        recipe=detection_recipe(epochs=epochs),
        augment=BoxAugment(
            flip_vertical=True, scale=(0.7, 1.4), mosaic=0.3, mosaic_until=3 * epochs // 4
        ),
    )


def networks(data: str) -> dict[str, DetectOptions]:
    """Return the runs by the names of their folders."""
    return {
        "yolo": options("yolo", data),
        "retinanet": options("retinanet", data),
        "faster_rcnn": options("faster_rcnn", data),
    }


def main() -> None:
    """Train what is missing, evaluate what there is, and write `results/bccd.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("REGARD_DATA", ".") + "/bccd")
    parser.add_argument("--runs", type=Path, default=Path("runs/bccd"))
    parser.add_argument("--only", choices=networks(""), help="train no other; all are evaluated")
    parser.add_argument("--precision", default="auto")
    chosen = parser.parse_args()
    figures, images = {}, 0
    for name, wanted in networks(chosen.data).items():
        folder = chosen.runs / name
        if not is_finished(folder):
            if chosen.only not in (None, name):
                continue
            detect.train(wanted, folder, machine=Machine(precision=chosen.precision))
        found, config = evaluate(folder, chosen.data).to_json(), read_config(folder)
        images = found["images"]
        figures[name] = {
            "test_mAP50": round(found["mAP50"], 4),
            "interval": [round(bound, 4) for bound in found["interval"]],
            "test_mAP50_95": round(found["mAP50_95"], 4),
            "mAP50_95_interval": [round(bound, 4) for bound in found["mAP50_95_interval"]],
            "AP50": {label: round(each["AP50"], 4) for label, each in found["per_class"].items()},
            "parameters": config["parameters"],
            "epochs": config["recipe"]["epochs"],
            "training_seconds_an_epoch": seconds_an_epoch(folder),
        }
    record("bccd", figures, n=images)


if __name__ == "__main__":
    main()
