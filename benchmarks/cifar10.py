"""Test accuracy on CIFAR-10: ResNet-20 without attention, and the network that is bundled.

One run each, with its Wilson interval; the test images are read once, at the end. Runs lie in a
folder and are gone on with: interrupt it as you like.
"""

import argparse
from pathlib import Path

from regard.core.run_files import is_finished, read_config
from regard.data import Augment
from regard.tasks import ClassifyOptions, evaluate, train
from regard.train import Recipe
from result import record

NETWORKS = {
    "resnet20": ClassifyOptions(model="resnet20", attention="none", recipe=Recipe(epochs=60)),
    "cifar10-resnet20-attention": ClassifyOptions(
        model="resnet20",
        attention="multi_head(num_heads=4)@layer3",
        model_options={"width": 32},
        recipe=Recipe(epochs=60),
        augment=Augment(cutout=8),
    ),
}


def main() -> None:
    """Train what is missing, evaluate what there is, and write `results/cifar10.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--runs", type=Path, default=Path("runs/cifar10"))
    parser.add_argument("--only", choices=NETWORKS, help="train no other; all are evaluated")
    options = parser.parse_args()
    figures = {}
    for name, chosen in NETWORKS.items():
        folder = options.runs / name
        if not is_finished(folder):
            if options.only not in (None, name):
                continue
            train(ClassifyOptions(**{**vars(chosen), "data": options.data}), folder)
        result, config = evaluate(folder, options.data), read_config(folder)
        figures[name] = {
            "test_accuracy": round(result.accuracy.value, 4),
            "interval": [round(bound, 4) for bound in result.accuracy.interval],
            "calibration_error": round(result.calibration_error, 4),
            "parameters": config["parameters"],
            "epochs": config["recipe"]["epochs"],
        }
    record("cifar10", figures, n=10_000)


if __name__ == "__main__":
    main()
