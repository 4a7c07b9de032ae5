"""Whether each method's map finds what decides the label, on scenes where that is known.

A ResNet-20 and a vision transformer of timm's, behind a convolutional stem, are trained on
`regard.data.scenes` until they are right on 99 % of unseen ones; then every method explains the
class of scenes that are classified right. Two figures for each: the share of the map (of its
positive part) that lies on the region which decides the label, divided by the region's share of the
picture (1 is chance), and how often the map's largest value lies on it (pointing game), also
without the rings, in whose holes a coarse map points. Beside the methods stand controls that never
saw the model: random numbers, a prior for the centre, the picture's edges, and each method's maps
laid over the wrong scenes, which keeps everything about them but the place. The truth itself, as
coarse as the layers that are explained, says what the best such map could reach.

Runs lie in a folder and are gone on with: interrupt it as you like. Each method is written as soon
as it is measured, and what the file holds of others stays: `--methods` measures methods again. On a
CPU the transformer trains nearly twice as fast with TIMM_FUSED_ATTN=0 in the environment: torch's
fused attention has a slow backward pass in bfloat16 there.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

import regard
from regard.core.run_files import is_finished
from regard.data import Augment, scenes
from regard.explain import methods
from regard.tasks import ClassifyOptions, evaluate, train
from regard.train import Recipe
from regard.train.metrics import wilson_interval
from result import RESULTS, record

NETWORKS = {
    "resnet20": ClassifyOptions(model="resnet20", augment=None, recipe=Recipe(epochs=8)),
    "conv_stem_vit": ClassifyOptions(
        model="conv_stem_vit",
        augment=Augment(crop_padding=0),
        recipe=Recipe(
            epochs=12, batch_size=64, optimizer="adam", lr=2e-3, weight_decay=0.05, clip=1.0
        ),
    ),
}
SEED = 11
BATCH = 20
METHODS = sorted(set(methods) - {"d_rise"})  # which explains boxes
DEAR = ("occlusion", "rise")
"""Methods that need so many forward passes that they get fewer scenes."""

Maps = NDArray[np.floating]


def main() -> None:
    """Train what is missing, explain, and write `results/scene_maps.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/scenes"))
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--dear-scenes", type=int, default=100, help=f"for {', '.join(DEAR)}")
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--train", action="store_true", help="only train what is missing")
    parser.add_argument("--methods", nargs="*", choices=methods, default=METHODS)
    options = parser.parse_args()
    for name, chosen in NETWORKS.items():
        if options.only not in (None, name):
            continue
        folder = options.runs / name
        if not is_finished(folder):
            train(chosen, folder)
        if options.train:
            continue
        found, subjects = measured_without_methods(folder, options.scenes)
        keep(name, found, options.scenes)
        for method in options.methods:
            few = options.dear_scenes if method in DEAR else options.scenes
            keep(name, {method: measured(subjects, method, few)}, options.scenes)


def keep(network: str, rows: dict[str, Any], scenes: int) -> None:
    """Add rows of a network to what the file holds."""
    path = RESULTS / "scene_maps.json"
    figures = json.loads(path.read_text())["figures"] if path.is_file() else {}
    figures[network] = dict(sorted((figures.get(network, {}) | rows).items()))
    record("scene_maps", figures, n=scenes)


@dataclass(frozen=True)
class Subjects:
    """Scenes that a model classifies right.

    Attributes:
        model: the model.
        images: (scene, 3, height, width), normalised.
        regions: (scene, height, width), True where the label is decided.
        rings: (scene,), True where the target has a hole.

    """

    model: regard.VisionModel
    images: torch.Tensor
    regions: NDArray[np.bool_]
    rings: NDArray[np.bool_]


def measured_without_methods(folder: Path, count: int) -> tuple[dict[str, Any], Subjects]:
    """Return a network's accuracy and the controls' figures, and the scenes to be explained."""
    model, drawn = regard.load(folder), scenes.make(2 * count, seed=SEED)
    images = model.preprocessing.normalise(drawn.images.float() / 255)
    with torch.no_grad():
        right = (model(images).argmax(1) == drawn.labels).nonzero()[:count, 0]
    regions = drawn.regions[right].numpy()
    rings = np.array(["ring" in drawn.classes[label] for label in drawn.labels[right].tolist()])
    controls = {
        "control: random": np.random.default_rng(SEED).random(regions.shape),
        "control: centre prior": np.repeat(centre(*regions.shape[1:]), len(right), 0),
        "control: edges": edges(drawn.images[right]),
        "ceiling: truth on 8×8 cells": coarse(drawn.regions[right], 8),
    }
    accuracy = evaluate(model, "scenes").accuracy
    figures: dict[str, Any] = {
        "accuracy_on_unseen_scenes": round(accuracy.value, 4),
        "accuracy_interval": [round(bound, 4) for bound in accuracy.interval],
        "region_share_of_picture": round(float(regions.mean()), 4),
    }
    figures |= {name: scored(maps, regions, rings) for name, maps in controls.items()}
    return figures, Subjects(model, images[right], regions, rings)


def measured(subjects: Subjects, method: str, count: int) -> dict[str, Any] | str:
    """Return one method's figures, or why it does not apply."""
    maps: list[Maps] = []
    try:
        for images in subjects.images[:count].split(BATCH):
            # The likeliest class is the true one in each of these scenes.
            maps += [
                found.map
                for found in regard.see_batch(subjects.model, images, method=method, check=False)
            ]
    except regard.RegardError as error:
        return f"does not apply: {error}"
    regions, rings = subjects.regions[:count], subjects.rings[:count]
    wrong = scored(np.roll(maps, 1, axis=0), regions, rings)
    return scored(np.stack(maps), regions, rings) | {"on_wrong_scenes": wrong}


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


def coarse(regions: torch.Tensor, cells: int) -> Maps:
    """Return the share of each cell that the region covers, scaled up again to the picture."""
    pooled = F.adaptive_avg_pool2d(regions.float()[:, None], cells)
    return F.interpolate(pooled, regions.shape[1:], mode="bilinear", antialias=False)[:, 0].numpy()


def scored(maps: Maps, regions: NDArray[np.bool_], rings: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how much of the maps lies on the regions, with 95 % intervals over the scenes."""
    positive = np.clip(maps, 0, None).reshape(len(maps), -1)
    inside = regions.reshape(len(maps), -1)
    total = positive.sum(1)
    # A map without a positive value says nothing, and is right as often as chance.
    share = np.where(total > 0, (positive * inside).sum(1) / np.where(total > 0, total, 1), np.nan)
    times = np.where(np.isnan(share), 1.0, share / inside.mean(1))
    half = 1.96 * times.std(ddof=1) / np.sqrt(len(times))
    hit = inside[np.arange(len(maps)), maps.reshape(len(maps), -1).argmax(1)]
    hits = int(hit.sum())
    return {
        "n": len(maps),
        "mass_over_chance": round(float(times.mean()), 2),
        "mass_interval": [round(float(times.mean() + sign * half), 2) for sign in (-1, 1)],
        "pointing_game": round(hits / len(maps), 3),
        "pointing_interval": [round(bound, 3) for bound in wilson_interval(hits, len(maps))],
        "pointing_game_without_rings": round(float(hit[~rings].mean()), 3),
        "empty_maps": int((total <= 0).sum()),
    }


if __name__ == "__main__":
    main()
