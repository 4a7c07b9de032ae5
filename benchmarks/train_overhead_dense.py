"""What the training loop costs over a bare one, for a detector and a segmenter.

Two ways to take the same steps, interleaved, as `train_overhead.py` has them for a classifier:

- regard: `regard.train.fit`, as `regard train detect` and `regard train segment` run it, with its
  data pipeline, moving average, checks and progress;
- bare: the same step by hand (same precision and memory format, augmented batches made before, the
  same optimizer and clipping, no moving average, nothing else).

The figures are ratios of images per second, the median over rounds. The share of an epoch that the
input pipeline takes is timed on its own. Networks start from the same random weights in each round.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interleaved import ratio
from regard.core.seeding import derive_seed, preserved_random_state
from regard.data.box_augment import BoxAugment
from regard.data.detection_batches import DetectionBatches
from regard.data.detection_scenes import make_detection_scenes
from regard.data.segmentation_augment import SegmentationAugment
from regard.data.segmentation_batches import SegmentationBatches
from regard.data.segmentation_sources import scenes_with_masks
from regard.models import NetworkSpec, Preprocessing, build
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from regard.tasks.detect import detection_recipe
from regard.tasks.segment import segmentation_recipe
from regard.train import Recipe, fit, start_fabric
from regard.train.detection_objective import Detection
from regard.train.objective import Objective
from regard.train.recipe import make_optimizer
from regard.train.segmentation_loss import SegmentationLoss
from regard.train.segmentation_objective import Segmentation
from result import record

BATCH = 8
"""The recipes' own."""

BACKBONE = "resnet18(width=32)"
"""Without depthwise convolutions, whose gradients Regard's loop takes in another way."""


@dataclass(frozen=True)
class Way:
    """What is trained.

    Attributes:
        task: `detect` or `segment`.
        spec: the network.
        batches: of training images, augmented.
        recipe: how.
        objective: the loss.
        size: (height, width) of the images in pixels.

    """

    task: str
    spec: NetworkSpec
    batches: DetectionBatches | SegmentationBatches
    recipe: Recipe
    objective: Objective
    size: tuple[int, int]

    def build(self) -> nn.Module:
        """Return the network with its first weights."""
        return build(self.spec, task=self.task)

    def normalise(self, images: Tensor) -> Tensor:
        """Bring images to ImageNet's mean and spread, as both ways do."""
        told = Preprocessing(
            self.size, IMAGENET_MEAN, IMAGENET_STD, resize="squash", interpolation="bilinear"
        )
        return told.normalise(images)


def main() -> None:
    """Measure, and write `results/train_overhead_dense.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--side", type=int, default=160, help="of the images, in pixels")
    parser.add_argument("--workers", type=int, help="that read; by default as the tasks have it")
    options = parser.parse_args()
    figures = {}
    makers = {"yolo": detector, "retinanet": detector, "faster_rcnn": detector, "unet": segmenter}
    for name, make in makers.items():
        figures[name] = measured(make(name, options), options.rounds)
    record("train_overhead_dense", figures, n=options.rounds)


def detector(name: str, options: argparse.Namespace) -> Way:
    """Return a detector, and scenes with boxes."""
    side = options.side
    scenes = make_detection_scenes(BATCH * options.steps, size=side, seed=0)
    batches = DetectionBatches(
        scenes, BATCH, size=side, augment=BoxAugment(), seed=0, workers=options.workers
    )
    spec = NetworkSpec(name, len(scenes.classes), "none", {"backbone": BACKBONE})
    recipe = detection_recipe(epochs=1, batch_size=BATCH)
    return Way("detect", spec, batches, recipe, Detection(), (side, side))


def segmenter(name: str, options: argparse.Namespace) -> Way:
    """Return a segmenter, and scenes with masks."""
    side = options.side
    scenes = scenes_with_masks(BATCH * options.steps, size=side, seed=0)
    batches = SegmentationBatches(
        scenes,
        BATCH,
        size=(side, side),
        augment=SegmentationAugment(),
        seed=0,
        workers=options.workers,
    )
    spec = NetworkSpec(name, len(scenes.classes), "none", {"encoder": BACKBONE})
    objective = Segmentation(SegmentationLoss.parse("cross_entropy"))
    recipe = segmentation_recipe(epochs=1, batch_size=BATCH)
    return Way("segment", spec, batches, recipe, objective, (side, side))


def measured(way: Way, rounds: int) -> dict[str, Any]:
    """Return the ratio of both ways' images per second, and the rates themselves."""
    ready = list(way.batches.epoch(0))
    images = sum(len(each) for each, _ in ready)
    ways: dict[str, Callable[[], float]] = {
        "regard": lambda: timed_fit(way),
        "bare": lambda: timed_loop(way, ready),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            rate = images / run()
            if number:  # the first round warms up
                rates[name].append(rate)
    epoch = images / statistics.median(rates["regard"])
    return {
        "regard_over_bare": ratio(rates["regard"], rates["bare"]),
        "input_pipeline_share_of_an_epoch": round(pipeline_seconds(way) / epoch, 4),
        "images_per_second": {k: round(statistics.median(v), 2) for k, v in rates.items()},
        "rounds": {k: [round(rate, 2) for rate in v] for k, v in rates.items()},
    }


def timed_fit(way: Way) -> float:
    """Train one epoch with Regard; return seconds."""
    model, fabric = way.build(), start_fabric("cpu")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fit(
            model,
            way.batches,
            out=Path(folder),
            recipe=way.recipe,
            objective=way.objective,
            normalise=way.normalise,
            fabric=fabric,
            quiet=True,
        )
        return time.perf_counter() - start


def timed_loop(way: Way, ready: list[tuple[Tensor, Any]]) -> float:
    """Train one epoch by hand on batches made before; return seconds."""
    model = way.build().train()
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer, fabric = make_optimizer(model, way.recipe), start_fabric("cpu")
    with preserved_random_state():
        start = time.perf_counter()
        for step, (images, truth) in enumerate(ready):
            torch.manual_seed(derive_seed(0, step))  # what is sampled of boxes is the same
            images = way.normalise(images).contiguous(memory_format=torch.channels_last)
            with fabric.autocast():
                loss = way.objective.training(model, images, truth).loss
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), way.recipe.clip)
            optimizer.step()
        return time.perf_counter() - start


def pipeline_seconds(way: Way) -> float:
    """Return the seconds that making one epoch's batches takes, the median of five."""
    seconds = []
    for epoch in range(5):
        start = time.perf_counter()
        for _ in way.batches.epoch(epoch):
            pass
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
