"""Weights of classes against their imbalance, from how often they occur in masks."""

from collections.abc import Iterable

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from regard.core.labels import VOID


def median_frequency_weights(masks: Iterable[Tensor], classes: int) -> tuple[float, ...]:
    """Return median frequency / frequency, one weight a class.

    Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common
    Multi-Scale Convolutional Architecture", 2015 (arXiv 1411.4734), section 6.3: a class's
    frequency is its pixels over all pixels of the images in which it occurs. Void pixels count
    for neither. A class that never occurs gets the weight 1, and is left out of the median.

    Args:
        masks: (height, width) each: class indices, or 255.
        classes: how many there are.

    """
    pixels = torch.zeros(classes, dtype=torch.int64)
    around = torch.zeros(classes, dtype=torch.int64)
    for mask in masks:
        counts = class_counts(mask, classes)
        pixels += counts
        around += (counts > 0) * counts.sum()
    occurring = pixels > 0
    if not occurring.any():
        return (1.0,) * classes
    frequency = pixels.double() / around.clamp(min=1)
    # The middle one of an odd number, the mean of the two middle ones of an even number.
    median = frequency[occurring].quantile(0.5)
    return tuple(torch.where(occurring, median / frequency.clamp(min=1e-300), 1.0).tolist())


def class_counts(mask: Integer[Tensor, "height width"], classes: int) -> Int[Tensor, " class"]:
    """Return how many pixels of a mask each class has."""
    return torch.bincount(mask.flatten().long(), minlength=VOID + 1)[:classes]
