"""Whether each method's map finds what decides the label, on scenes where that is known.

A network is trained on `regard.data.scenes` until it is right on 99 % of unseen ones; then every
method explains the true class of scenes that it classifies right. Two figures for each: the share
of the map (of its positive part) that lies on the region which decides the label, divided by the
region's share of the picture (1 is chance), and how often the map's largest value lies on it
(pointing game). Beside the methods stand controls that never saw the model: a prior for the centre,
the picture's edges, and each method's maps laid over the wrong scenes, which keeps everything about
them but the place.

Runs lie in a folder and are gone on with: interrupt it as you like.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

import regard
from regard.core.run_files import is_finished
from regard.data import scenes
from regard.explain import methods, see_batch
from regard.tasks import ClassifyOptions, evaluate, train
from regard.train import Recipe
from regard.train.metrics import wilson_interval
from result import record

NETWORKS = {
    "resnet20": ClassifyOptions(model="resnet20", augment=None, recipe=Recipe(epochs=12)),
    "vit": ClassifyOptions(
        model="vit",
        model_options={"width": 96, "depth": 4},
        augment=None,
        recipe=Recipe(epochs=40),
    ),
}
SEED = 11
Maps = NDArray[np.floating]


def main() -> None:
    """Train what is missing, explain, and write `results/scene_maps.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/scenes"))
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--methods", nargs="+", default=sorted(methods))
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for name, chosen in NETWORKS.items():
        if options.only not in (None, name):
            continue
        folder = options.runs / name
        if not is_finished(folder):
            train(chosen, folder)
        figures[name] = measured(folder, options.scenes, options.methods)
        record("scene_maps", figures, n=options.scenes)


def measured(folder: Path, count: int, names: list[str]) -> dict[str, Any]:
    """Return the figures of one network."""
    model, drawn = regard.load(folder), scenes.make(2 * count, seed=SEED)
    images = model.preprocessing.normalise(drawn.images.float() / 255)
    with torch.no_grad():
        right = (model(images).argmax(1) == drawn.labels).nonzero()[:count, 0]
    images, labels = images[right], drawn.labels[right]
    regions = drawn.regions[right].numpy()
    figures: dict[str, Any] = {
        "test_accuracy": round(evaluate(model, "scenes").accuracy.value, 4),
        "region_share_of_picture": round(float(regions.mean()), 4),
    }
    controls: dict[str, Callable[[], Maps]] = {
        "control: centre prior": lambda: np.repeat(centre(*regions.shape[1:]), len(right), 0),
        "control: edges": lambda: edges(drawn.images[right]),
    }
    for name in names:
        try:
            maps = explained(model, images, labels, name)
        except regard.RegardError as error:
            figures[name] = f"does not apply: {error}"
            continue
        figures[name] = scored(maps, regions) | {
            "on_wrong_scenes": scored(np.roll(maps, 1, axis=0), regions)
        }
    return figures | {name: scored(make(), regions) for name, make in controls.items()}


def explained(model: Any, images: torch.Tensor, labels: torch.Tensor, name: str) -> Maps:
    """Return one method's maps of the true classes, at the size of the pictures."""
    maps: list[Maps] = []
    for image, label in zip(images, labels.tolist(), strict=True):
        (found,) = see_batch(model, image[None], method=name, target=label)
        maps.append(found.map)
    return np.stack(maps)


def centre(height: int, width: int) -> Maps:
    """Return a Gaussian about the centre, (1, height, width)."""
    rows, cols = np.mgrid[:height, :width]
    squared = ((rows + 0.5) / height - 0.5) ** 2 + ((cols + 0.5) / width - 0.5) ** 2
    return np.exp(-squared / (2 * 0.25**2))[None]


def edges(images: torch.Tensor) -> Maps:
    """Return the size of the brightness' gradient, (image, height, width)."""
    grey = images.float().mean(1, keepdim=True)
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    both = torch.stack([kernel, kernel.T])[:, None]
    return F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), both).norm(dim=1).numpy()


def scored(maps: Maps, regions: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how much of the maps lies on the regions, with 95 % intervals over the scenes."""
    positive = np.clip(maps, 0, None).reshape(len(maps), -1)
    inside = regions.reshape(len(maps), -1)
    total = positive.sum(1)
    # A map without a positive value says nothing, and is right as often as chance.
    share = np.where(total > 0, (positive * inside).sum(1) / np.where(total > 0, total, 1), np.nan)
    times = np.where(np.isnan(share), 1.0, share / inside.mean(1))
    half = 1.96 * times.std(ddof=1) / np.sqrt(len(times))
    hits = int(inside[np.arange(len(maps)), maps.reshape(len(maps), -1).argmax(1)].sum())
    return {
        "mass_over_chance": round(float(times.mean()), 2),
        "mass_interval": [round(float(times.mean() + sign * half), 2) for sign in (-1, 1)],
        "pointing_game": round(hits / len(maps), 3),
        "pointing_interval": [round(bound, 3) for bound in wilson_interval(hits, len(maps))],
        "empty_maps": int((total <= 0).sum()),
    }


if __name__ == "__main__":
    main()
