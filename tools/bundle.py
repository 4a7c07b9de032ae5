"""Make a bundled model of a finished run: half-precision weights, and a card with test figures."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import torch

from regard.core.run_files import read_config
from regard.models.run_models import load_run
from regard.tasks import evaluate
from regard.train.run_folder import write_card, write_config, write_weights

BUNDLED = Path(__file__).parents[1] / "src" / "regard" / "models" / "bundled"


def main() -> None:
    """Read the run, write it small, and measure what was written on the test split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name", help="the word after `bundled:`")
    parser.add_argument("--data", default="cifar10", help="where the data lies on this machine")
    parser.add_argument("--source", default="cifar10", help="the words for the data in the card")
    parser.add_argument("--note", default="", help="a few sentences for the card")
    options = parser.parse_args()
    folder = BUNDLED / options.name
    folder.mkdir(parents=True, exist_ok=True)
    config = read_config(options.run)
    config["command"] = config["command"].replace(config["data"]["source"], options.source)
    config["command"] = re.sub(r"--out \S+", f"--out runs/{options.name}", config["command"])
    config["data"]["source"] = options.source
    write_config(folder, config)
    write_weights(folder, load_run(options.run).network, dtype=torch.float16)
    measured = evaluate(folder, options.data).to_json()
    figures = {"weights": "float16", **FIGURES[config["task"]](measured)}
    if options.note:
        figures["note"] = options.note
    write_card(folder, config, figures)
    print(json.dumps(figures, indent=2), folder)


def of_a_classifier(measured: dict[str, Any]) -> dict[str, str]:
    """Return the lines of the card."""
    low, high = measured["interval"]
    return {
        "test accuracy": f"{measured['accuracy']:.2%} [{low:.2%}, {high:.2%}], "
        f"n = {measured['images']:,} (single run; Wilson interval)",
        "calibration error": f"{measured['calibration_error']:.2%}",
    }


def of_a_detector(measured: dict[str, Any]) -> dict[str, str]:
    """Return the lines of the card."""
    return {
        "test mAP50": in_words(measured["mAP50"], measured["interval"], measured["images"]),
        "test mAP50-95": in_words(
            measured["mAP50_95"], measured["mAP50_95_interval"], measured["images"]
        ),
        **{f"AP50 of {name}": f"{of['AP50']:.3f}" for name, of in measured["per_class"].items()},
    }


def of_a_segmenter(measured: dict[str, Any]) -> dict[str, str]:
    """Return the lines of the card."""
    return {
        "test mIoU": in_words(measured["mIoU"], measured["interval"], measured["images"]),
        "pixel accuracy": f"{measured['pixel_accuracy']:.3f}",
        "boundary F1": f"{measured['boundary_f1']:.3f}",
        **{f"IoU of {name}": f"{of['IoU']:.3f}" for name, of in measured["per_class"].items()},
    }


def in_words(value: float, interval: list[float], images: int) -> str:
    """Return a figure with its interval."""
    low, high = interval
    return (
        f"{value:.3f} [{low:.3f}, {high:.3f}], n = {images} images "
        "(single run; bootstrap interval over images)"
    )


FIGURES = {"classify": of_a_classifier, "detect": of_a_detector, "segment": of_a_segmenter}


if __name__ == "__main__":
    main()
