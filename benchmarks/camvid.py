"""Mean IoU on CamVid's test images: U-Net, Attention U-Net and FCN at the same budget.

One run each, with its bootstrap interval over images; the test images are read once, at the end.
Runs lie in a folder and are gone on with: interrupt it as you like.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from regard.core.run_files import is_finished, read_config
from regard.tasks import Machine, SegmentOptions, evaluate, segment
from regard.tasks.segment import segmentation_recipe
from result import record
from run_pace import seconds_an_epoch

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": ("unet", {"width": 20, "widest": 80}),
    "attention_unet": ("attention_unet", {"width": 20, "widest": 80}),
    "fcn": ("fcn", {"width": 96}),
}


def options(name: str, data: str) -> SegmentOptions:
    """Return the recipe: an ImageNet encoder whose first stages stay as they are, two losses.

    Crops of 4/9 of the image are trained on.
    """
    model, model_options = NETWORKS[name]
    return SegmentOptions(
        data=data,
        model=model,
        model_options={**model_options, "encoder": "photo:efficientnet-lite0(freeze=2)"},
        size=(360, 480),
        crop=(240, 320),
        loss="cross_entropy + dice",
        recipe=segmentation_recipe(epochs=60),
    )


def main() -> None:
    """Train what is missing, evaluate what there is, and write `results/camvid.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("REGARD_DATA", ".") + "/camvid")
    parser.add_argument("--runs", type=Path, default=Path("runs/camvid"))
    parser.add_argument("--only", choices=NETWORKS, help="train no other; all are evaluated")
    parser.add_argument("--precision", default="auto")
    chosen = parser.parse_args()
    figures, images = {}, 0
    for name in NETWORKS:
        folder = chosen.runs / name
        if not is_finished(folder):
            if chosen.only not in (None, name):
                continue
            machine = Machine(precision=chosen.precision)
            segment.train(options(name, chosen.data), folder, machine=machine)
        found, config = evaluate(folder, chosen.data).to_json(), read_config(folder)
        images = found["images"]
        figures[name] = {
            "test_mIoU": round(found["mIoU"], 4),
            "interval": [round(bound, 4) for bound in found["interval"]],
            "pixel_accuracy": round(found["pixel_accuracy"], 4),
            "boundary_f1": round(found["boundary_f1"], 4),
            "IoU": {label: round(each["IoU"], 4) for label, each in found["per_class"].items()},
            "parameters": config["parameters"],
            "epochs": config["recipe"]["epochs"],
            "training_seconds_an_epoch": seconds_an_epoch(folder),
        }
    record("camvid", figures, n=images)


if __name__ == "__main__":
    main()
