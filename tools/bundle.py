"""Make a bundled model of a finished run: half-precision weights, and a card with test figures."""

import argparse
import json
import re
from pathlib import Path

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
    parser.add_argument("--note", default="", help="one sentence for the card")
    options = parser.parse_args()
    folder = BUNDLED / options.name
    folder.mkdir(parents=True, exist_ok=True)
    config = read_config(options.run)
    config["command"] = config["command"].replace(config["data"]["source"], options.source)
    config["command"] = re.sub(r"--out \S+", f"--out runs/{options.name}", config["command"])
    config["data"]["source"] = options.source
    write_config(folder, config)
    write_weights(folder, load_run(options.run).network, dtype=torch.float16)
    result = evaluate(folder, options.data)
    figures = {
        "weights": "float16",
        "test accuracy": f"{result.accuracy} (single run; Wilson interval)",
        "calibration error": f"{result.calibration_error:.2%}",
    }
    if options.note:
        figures["note"] = options.note
    write_card(folder, config, figures)
    print(json.dumps(result.to_json()["accuracy"]), folder)


if __name__ == "__main__":
    main()
