"""Numbers of a classifier: accuracy with its interval, calibration error, confusion."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from regard.core.errors import InputError


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Args:
        correct: successes.
        total: trials, at least 1.
        confidence: two-sided coverage.

    Returns:
        (lower, upper), as fractions.

    """
    if not 0 <= correct <= total or total == 0:
        raise InputError(f"{correct} correct of {total} is no proportion")
    z = math.sqrt(2) * torch.erfinv(torch.tensor(confidence, dtype=torch.float64)).item()
    p, shrink = correct / total, z * z / total
    centre = (p + shrink / 2) / (1 + shrink)
    half = z / (1 + shrink) * math.sqrt(p * (1 - p) / total + shrink / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def confusion_matrix(
    predicted: Int[Tensor, " image"], labels: Int[Tensor, " image"], classes: int
) -> Int[Tensor, "true_class predicted_class"]:
    """Count the images of each true class (row) that were given each class (column)."""
    pairs = labels.long() * classes + predicted.long()
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def calibration_error(
    probabilities: Float[Tensor, "image class"], labels: Int[Tensor, " image"], bins: int = 15
) -> float:
    """Return the expected calibration error: |confidence − accuracy|, averaged over bins.

    Guo, Pleiss, Sun, Weinberger 2017 (arXiv 1706.04599), equation 3: equal-width bins over the
    confidence of the predicted class, weighted by the images in each.
    """
    confidence, predicted = probabilities.double().max(1)
    right = (predicted == labels).double()
    # Bins are (lower, upper], as in the paper.
    index = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64, device=confidence.device)
    gap.index_add_(0, index, confidence - right)
    return (gap.abs().sum() / len(labels)).item()


@dataclass(frozen=True)
class Proportion:
    """A proportion with its 95 % Wilson interval."""

    correct: int
    total: int

    @property
    def value(self) -> float:
        """The proportion."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % Wilson interval."""
        return wilson_interval(self.correct, self.total)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} [{low:.2%}, {high:.2%}], n = {self.total:,}"
