"""How much of a network has to be scrambled before a map becomes another one?

Methods that a check says `ignores the weights` of on the transformer of the synthetic scenes
(`methods_table.py`), and Grad-CAM beside them. The check scrambles the upper quarter and the upper
half of the layers. Here the cascade goes on to the bottom (Adebayo et al. 2018, arXiv 1810.03292):
a map that is the same for any network stays as it is to the end; one that shows what the lower
layers make of the picture changes when these are reached. Kept is the rank correlation of each
share's map with the real one.
"""

import argparse
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import regard
from regard.check.case import at_size
from regard.check.intervals import mean_of
from regard.check.randomised import cascade, layers_of
from regard.check.similarity import rank_correlation
from regard.data import scenes
from regard.models.load import load
from result import record

SEED = 57
METHODS = ("saliency", "input_x_gradient", "guided_backpropagation", "gradient_rollout", "grad_cam")
SHARES = (0.25, 0.5, 0.75, 1.0)
SIZE = (32, 32)
"""Of the scenes, in pixels."""


def main() -> None:
    """Measure, and write `results/scrambled_depths.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/scenes/conv_stem_vit"))
    parser.add_argument("--images", type=int, default=60)
    options = parser.parse_args()
    model = load(options.run)
    pictures = scenes.make(options.images, seed=SEED).images
    likenesses: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, image in enumerate(pictures):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        for method in METHODS:
            for share, likeness in by_share(model, picture, method, seed=number).items():
                likenesses[method][share].append(likeness)
    figures: dict[str, Any] = {
        method: {f"upper {share:.0%}": rounded(values) for share, values in found.items()}
        for method, found in likenesses.items()
    }
    figures["layers"] = len(layers_of(model))
    record("scrambled_depths", figures, n=options.images)


def by_share(
    model: regard.VisionModel, picture: Image.Image, method: str, *, seed: int
) -> dict[float, float]:
    """Return how like its map is to that of the model with an upper share scrambled, by share."""
    real = regard.see(model, picture, method=method, check=False)
    found: dict[float, float] = {}
    with cascade(model, seed=seed) as scramble:
        for share in SHARES:
            scramble(share)
            other = regard.see(model, picture, method=method, target=real.target, check=False)
            alike = rank_correlation(amounts(real)[None], amounts(other), silence=False)
            found[share] = float(alike)
    return found


def amounts(explanation: regard.Explanation) -> Tensor:
    """Return a map without its sign, as large as the picture, as the check compares it."""
    values = torch.as_tensor(explanation.values).abs()
    return at_size(values[None], SIZE)[0]


def rounded(values: list[float]) -> dict[str, Any]:
    """Return the mean with its 95 % interval."""
    return {
        name: value if name == "n" else round(value, 3)
        for name, value in asdict(mean_of(values)).items()
    }


if __name__ == "__main__":
    main()
