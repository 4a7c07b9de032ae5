"""Measure a detector on a split: mAP with its interval, per class, and the worst mistakes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regard.core.detection_mistake import DetectionMistake
from regard.core.modes import evaluating
from regard.train.detection_matching import Found
from regard.train.detection_metrics import DRAWS, DetectionScores, score_detections
from regard.train.detection_mistakes import described, worst_mistakes
from regard.train.evaluate import Classifier
from regard.train.loop import EpochBatches


@dataclass(frozen=True, eq=False)
class DetectionEvaluation:
    """How a detector did on one split.

    Attributes:
        labels: the class names.
        scores: mAP, intervals, and the figures of each class.
        mistakes: the worst ones, those of a kind together, worst first.

    """

    labels: tuple[str, ...]
    scores: DetectionScores
    mistakes: tuple[DetectionMistake, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `regard evaluate --json` prints them."""
        return self.scores.to_json()


@torch.no_grad()
def detect(
    network: nn.Module,
    batches: EpochBatches,
    normalise: Callable[[Tensor], Tensor],
    *,
    device: str | torch.device = "cpu",
) -> tuple[list[Found], list[Found]]:
    """Return what a detector finds in every image of `batches`, and the truth, on the CPU.

    Both are in pixels of the images as the batches hand them out; mAP is the same as in the
    original images' pixels, since all boxes of an image are scaled alike.

    Args:
        network: returns, in evaluation, a dict of `boxes`, `scores` and `labels` for each image.
        batches: images in [0, 1] and their truth, not shuffled.
        normalise: the network's own normalisation.
        device: where to run.

    """
    found: list[Found] = []
    truth: list[Found] = []
    with evaluating(network):
        for images, true in batches.epoch(0):
            seen = network(normalise(images.to(device)))
            found += [{name: part.float().cpu() for name, part in one.items()} for one in seen]
            truth += [{name: part.cpu() for name, part in one.items()} for one in true]
    return [_whole(one) for one in found], truth


def evaluate_detector(
    model: Classifier,
    batches: EpochBatches,
    *,
    device: str = "cpu",
    mistakes: int = 12,
    draws: int = DRAWS,
    seed: int = 0,
) -> DetectionEvaluation:
    """Run a detector over every image of `batches`, in float32.

    Args:
        model: network, labels and preprocessing.
        batches: images in [0, 1] at the network's size and their truth, not shuffled; with their
            ignored boxes, where there are such.
        device: where to run.
        mistakes: how many of the worst to keep, of each kind.
        draws: how many the intervals rest on.
        seed: of the draws.

    Raises:
        InputError: the labels do not fit the model's classes, or there is nothing to find.

    """
    network = model.network.to(device)
    found, truth = detect(network, batches, model.preprocessing.normalise, device=device)
    scores = score_detections(found, truth, model.labels, draws=draws, seed=seed)
    places = worst_mistakes(found, truth, scores, mistakes)
    pictures = _pictures(batches, {place.image for place in places})
    return DetectionEvaluation(
        labels=model.labels,
        scores=scores,
        mistakes=tuple(
            described(
                place,
                pictures[place.image],
                found[place.image],
                truth[place.image],
                scores,
            )
            for place in places
        ),
    )


def _whole(one: Found) -> Found:
    return {name: part.long() if name == "labels" else part for name, part in one.items()}


def _pictures(batches: EpochBatches, wanted: set[int]) -> dict[int, np.ndarray]:
    """Return these images as bytes; read again, so that not all are kept in between."""
    pictures: dict[int, np.ndarray] = {}
    first = 0
    for images, _ in batches.epoch(0) if wanted else ():
        for index in wanted & set(range(first, first + len(images))):
            whole = (images[index - first] * 255).round().byte()
            pictures[index] = whole.permute(1, 2, 0).cpu().numpy()
        first += len(images)
    return pictures
