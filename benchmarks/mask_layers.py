"""At which layer of a U-Net Grad-CAM explains a mask: the bottom, or a later one?

Of images of CamVid's validation split, a segmenter's largest mask and a small one are explained at
the bottom and behind each block of the decoder. Each map has the verdict of a quick check: does the
mask's score fall when what the map marks is covered, and more than under displaced copies of the
map? The medians of that correlation, and of how many standard deviations it is above those of the
copies, are kept. Beside them stands how much of a map lies inside the mask that it explains: later
layers are nearly the answer itself (Vinogradova et al. 2020, arXiv 2002.11434), and a map that lies
all inside says no more than the mask does.
"""

import argparse
import os
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import regard
from regard.check.intervals import mean_of
from regard.core.explanation import Explanation
from regard.explain import ClassMask
from result import record

LAYERS = ("auto", *(f"*decoder.{block}" for block in range(4)))
SMALL = (0.005, 0.05)
"""Shares of the picture between which a mask is small."""


def main() -> None:
    """Measure, and write `results/mask_layers.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    data = Path(os.environ.get("REGARD_DATA", ".")) / "camvid/val/images"
    parser.add_argument("--images", type=Path, default=data, help="a folder of photographs")
    parser.add_argument("--model", default="bundled:camvid-segmenter")
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    model = regard.load(options.model)
    files = sorted(options.images.iterdir())
    chosen = [files[round(place)] for place in np.linspace(0, len(files) - 1, options.count)]
    found: dict[str, list[Explanation]] = defaultdict(list)
    for file in chosen:
        with Image.open(file) as picture:
            for target in masks_of(model, picture):
                for layer in LAYERS:
                    found[layer].append(explained(model, picture, target, layer))
                print(file.name, target.name, [str(found[layer][-1].verdict) for layer in LAYERS])
    figures = {layer: figures_of(maps) for layer, maps in found.items()}
    record("mask_layers", {options.model: figures}, n=len(found["auto"]))


def masks_of(model: regard.VisionModel, picture: Image.Image) -> list[ClassMask]:
    """Return the largest mask of a picture, and the largest of the small ones if there is one."""
    with torch.no_grad():
        classes = model(model.prepare(picture)).argmax(1)
    shares = {
        int(label): int(count) / classes.numel()
        for label, count in zip(*classes.unique(return_counts=True), strict=True)
    }
    largest = sorted(shares, key=lambda label: -shares[label])
    small = [label for label in largest if SMALL[0] <= shares[label] <= SMALL[1]]
    return [ClassMask(model.labels[label]) for label in (largest[0], *small[:1])]


def explained(
    model: regard.VisionModel, picture: Image.Image, target: ClassMask, layer: str
) -> Explanation:
    """Return Grad-CAM's map at a layer, with its verdict."""
    return regard.see(model, picture, target=target, method="grad_cam", site=layer)


def figures_of(maps: list[Explanation]) -> dict[str, Any]:
    """Return how the maps of a layer were judged."""
    levels = Counter(each.verdict.level for each in maps if each.verdict)
    judged = [each.verdict["faithfulness_correlation"] for each in maps if each.verdict]
    inside = mean_of([share_inside(each) for each in maps])
    return {
        "site": ", ".join(sorted({name for each in maps for name in each.site})),
        "levels": dict(levels.most_common()),
        "correlation_median": round(statistics.median(each.value for each in judged), 2),
        "effect_median": round(statistics.median(each.effect or 0.0 for each in judged), 2),
        "share_inside_the_mask": {
            "mean": round(inside.mean or 0.0, 3),
            "interval": [round(bound or 0.0, 3) for bound in (inside.low, inside.high)],
        },
    }


def share_inside(found: Explanation) -> float:
    """Return how much of the positive part of a map lies inside the mask that it explains."""
    assert found.outline is not None
    values = torch.from_numpy(found.values).double().clamp(min=0)[None, None]
    height, width = found.outline.shape
    spread = torch.nn.functional.interpolate(values, (height, width), mode="bilinear")[0, 0]
    total = float(spread.sum())
    return float(spread[torch.from_numpy(found.outline)].sum()) / total if total else 0.0


if __name__ == "__main__":
    main()
