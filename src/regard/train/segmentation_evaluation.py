"""Measure a segmenter on a split: mean IoU with its interval, per class, boundaries, mistakes."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.mask_mistake import MaskMistake
from regard.core.modes import evaluating
from regard.core.shapes import Images
from regard.train.evaluate import Classifier
from regard.train.segmentation_metrics import (
    PixelCounts,
    boundary_f1,
    class_iou,
    mean_iou,
    pixel_confusion,
)

Whole = tuple[Images, list[Tensor], list[Tensor], list[str]]
"""Images at the network's size, pictures and masks at their own, and what they are called."""


@dataclass(frozen=True, eq=False)
class SegmentationEvaluation:
    """How a segmenter did on one split, each image at its mask's own size.

    Attributes:
        labels: the class names.
        counts: what the pixels of each image came to.
        confusion: (true class, predicted class), pixels.
        boundaries: (image, class), boundary F1; NaN where an image has no boundary of a class.
        mistakes: the images of the lowest mean IoU, worst first.

    """

    labels: tuple[str, ...]
    counts: PixelCounts
    confusion: NDArray[np.int64]
    boundaries: NDArray[np.float64]
    mistakes: tuple[MaskMistake, ...]

    @property
    def mean_iou(self) -> float:
        """The mean IoU over all classes that occur."""
        return self.counts.mean_iou

    @property
    def boundary_f1(self) -> float:
        """The mean over the images of each one's mean over its classes."""
        each = mean_iou(self.boundaries)  # the same mean: what is NaN is left out
        each = each[~np.isnan(each)]
        return float(each.mean()) if each.size else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `regard evaluate --json` prints them."""
        interval, each = self.counts.intervals()
        per_class = {
            label: {"IoU": float(iou), "interval": list(own), "pixels": int(pixels)}
            for label, iou, own, pixels in zip(
                self.labels, self.counts.iou, each, self.counts.true.sum(0), strict=True
            )
            if not np.isnan(iou)
        }
        return {
            "mIoU": self.mean_iou,
            "interval": list(interval),
            "images": len(self.counts.true),
            "pixel_accuracy": self.counts.accuracy,
            "boundary_f1": self.boundary_f1,
            "per_class": per_class,
            "absent": [label for label in self.labels if label not in per_class],
            "confusion": self.confusion.tolist(),
        }


@torch.no_grad()
def evaluate_segmenter(
    model: Classifier, batches: Iterable[Whole], *, device: str = "cpu", mistakes: int = 8
) -> SegmentationEvaluation:
    """Run a segmenter over every image of `batches`, in float32.

    Its logits are interpolated to each mask's own size before the best class is chosen, so that
    figures of networks with inputs of different sizes can be compared.

    Args:
        model: network, labels and preprocessing.
        batches: as `regard.data.segmentation_batches.whole_images` yields them.
        device: where to run.
        mistakes: how many of the worst images to keep.

    Raises:
        InputError: there are no images, or the masks' classes are not the model's.

    """
    network, classes = model.network.to(device), len(model.labels)
    confusions, boundaries = [], []
    worst: list[tuple[float, int, MaskMistake]] = []
    with evaluating(network):
        for images, pictures, masks, titles in batches:
            logits = network(model.preprocessing.normalise(images.to(device)))
            for each, picture, mask, title in zip(logits, pictures, masks, titles, strict=True):
                predicted, true = best_classes(each, mask), mask.numpy()
                confusion = pixel_confusion(predicted, true, classes)
                found = boundary_f1(predicted, true)
                boundaries.append([found.get(index, np.nan) for index in range(classes)])
                mistake = _mistake(title, picture, true, predicted, confusion)
                # The number settles ties, so that mistakes are never compared themselves.
                heapq.heappush(worst, (-mistake.iou, len(confusions), mistake))
                if len(worst) > mistakes:
                    heapq.heappop(worst)
                confusions.append(confusion)
    if not confusions:
        raise InputError("there is no image to measure")
    stacked = np.stack(confusions)
    if not stacked.any():
        raise InputError(
            f"every pixel of all {len(stacked)} masks is void; there is nothing to measure"
        )
    return SegmentationEvaluation(
        labels=model.labels,
        counts=counts_of(stacked),
        confusion=stacked.sum(0),
        boundaries=np.array(boundaries),
        mistakes=tuple(mistake for _, _, mistake in sorted(worst, key=lambda entry: -entry[0])),
    )


def counts_of(confusions: NDArray[np.int64]) -> PixelCounts:
    """Return what (image, true class, predicted class) comes to, by image and class."""
    return PixelCounts(
        right=confusions.diagonal(axis1=1, axis2=2).copy(),
        predicted=confusions.sum(1),
        true=confusions.sum(2),
    )


def best_classes(logits: Tensor, mask: Tensor) -> NDArray[np.uint8]:
    """Return the best class of each pixel of a mask: logits (class, …) interpolated to its size."""
    scores = F.interpolate(
        logits[None].float(), tuple(mask.shape), mode="bilinear", align_corners=False
    )
    return scores[0].argmax(0).to("cpu", torch.uint8).numpy()


@torch.no_grad()
def mean_iou_of(
    network: nn.Module, batches: Iterable[tuple[Images, Tensor]], normalise: Any, classes: int
) -> dict[str, float]:
    """Return mean IoU and pixel accuracy of a network in eval mode, at the size of the batches.

    Cheaper than `evaluate_segmenter`: for looking at after each epoch.
    """
    device = next(network.parameters()).device
    confusions = []
    for images, truth in batches:
        predicted = network(normalise(images.to(device))).argmax(1).to("cpu", torch.uint8).numpy()
        for each, true in zip(predicted, truth.cpu().numpy(), strict=True):
            confusions.append(pixel_confusion(each, true, classes))
    counts = counts_of(np.stack(confusions))
    return {"mIoU": counts.mean_iou, "pixel_accuracy": counts.accuracy}


def _mistake(
    title: str,
    picture: Tensor,
    true: NDArray[np.uint8],
    predicted: NDArray[np.uint8],
    confusion: NDArray[np.int64],
) -> MaskMistake:
    right, given, real = confusion.diagonal(), confusion.sum(0), confusion.sum(1)
    # Over the image's own classes: a few pixels of another one cost its own their share already.
    iou = float(np.nan_to_num(mean_iou(class_iou(right, given, real)[real > 0]), nan=1.0))
    return MaskMistake(title, picture.permute(1, 2, 0).numpy(), true, predicted, iou)
