"""Measure a classifier on a split: accuracy with its interval, calibration, confusion, mistakes."""

import heapq
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from regard.core.errors import InputError
from regard.core.mistake import Mistake
from regard.core.modes import evaluating
from regard.core.shapes import Images
from regard.train.loop import EpochBatches
from regard.train.metrics import Proportion, calibration_error, confusion_matrix


@runtime_checkable
class Classifier(Protocol):
    """What evaluation needs of a model: `regard.models.VisionModel`, or anything like it."""

    network: nn.Module
    labels: tuple[str, ...]
    preprocessing: Any


@dataclass(frozen=True)
class Evaluation:
    """How a classifier did on one split.

    Attributes:
        labels: the class names.
        confusion: (true class, predicted class), counts.
        calibration_error: expected calibration error, 15 bins.
        mistakes: the most confident mistakes, worst first.

    """

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    calibration_error: float
    mistakes: tuple[Mistake, ...]

    @property
    def accuracy(self) -> Proportion:
        """The share of images that were given their class."""
        return Proportion(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @property
    def per_class(self) -> dict[str, Proportion]:
        """Accuracy on the images of each class; classes without images are left out."""
        totals = self.confusion.sum(1)
        return {
            label: Proportion(int(self.confusion[index, index]), int(totals[index]))
            for index, label in enumerate(self.labels)
            if totals[index]
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `regard evaluate --json` prints them."""
        return {
            "accuracy": self.accuracy.value,
            "interval": list(self.accuracy.interval),
            "images": self.accuracy.total,
            "calibration_error": self.calibration_error,
            "per_class": {
                label: {"accuracy": share.value, "interval": list(share.interval)}
                for label, share in self.per_class.items()
            },
            "confusion": self.confusion.tolist(),
        }


@torch.no_grad()
def evaluate_classifier(
    model: Classifier,
    batches: EpochBatches,
    *,
    device: str = "cpu",
    mistakes: int = 16,
    mirror: bool = False,
) -> Evaluation:
    """Run a classifier over every image of `batches`, in float32.

    Args:
        model: network, labels and preprocessing.
        batches: images in [0, 1] at the network's size, and labels.
        device: where to run.
        mistakes: how many of the most confident mistakes to keep.
        mirror: average the logits of each image and its mirror image, left to right, which costs
            twice the time.

    Raises:
        InputError: the labels do not fit the model's classes.

    """
    network = model.network.to(device)
    probabilities, labels = [], []
    worst = _Worst(mistakes)
    with evaluating(network):
        for images, true in batches.epoch(0):
            images, true = images.to(device), true.to(device)
            given = model.preprocessing.normalise(images)
            logits = network(given)
            if mirror:
                logits = (logits + network(given.flip(3))) / 2
            found = logits.softmax(1)
            worst.add(images, true, found)
            probabilities.append(found.cpu())
            labels.append(true.cpu())
    everything, truth = torch.cat(probabilities), torch.cat(labels)
    classes = len(model.labels)
    if everything.shape[1] != classes or int(truth.max()) >= classes:
        raise InputError(
            f"the model tells {everything.shape[1]} classes apart and the images have labels up "
            f"to {int(truth.max())}; evaluate on data with the model's classes"
        )
    return Evaluation(
        labels=model.labels,
        confusion=confusion_matrix(everything.argmax(1), truth, classes).numpy(),
        calibration_error=calibration_error(everything, truth),
        mistakes=worst.sorted(),
    )


class _Worst:
    """The most confident mistakes of a stream."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._heap: list[tuple[float, int, Mistake]] = []
        self._serial = count()

    def add(self, images: Images, true: Tensor, probabilities: Tensor) -> None:
        confidence, predicted = probabilities.max(1)
        for index in (predicted != true).nonzero().flatten().tolist():
            picture = (images[index] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            mistake = Mistake(
                picture, int(true[index]), int(predicted[index]), float(confidence[index])
            )
            # The serial number settles ties, so that mistakes are never compared themselves.
            heapq.heappush(self._heap, (mistake.confidence, -next(self._serial), mistake))
            if len(self._heap) > self._keep:
                heapq.heappop(self._heap)

    def sorted(self) -> tuple[Mistake, ...]:
        return tuple(mistake for _, _, mistake in sorted(self._heap, reverse=True, key=_rank))


def _rank(entry: tuple[float, int, Mistake]) -> tuple[float, int]:
    return entry[:2]
