"""Losses of segmentation: cross-entropy, focal, Dice, and weighted sums of them; void is left out.

Logits are (batch, class, height, width), truth is (batch, height, width): class indices, or 255
for void, pixels that count nowhere.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError, unknown_name
from regard.core.labels import VOID

Logits = Float[Tensor, "batch class height width"]
Truth = Int[Tensor, "batch height width"]
Weights = Float[Tensor, " class"]
Loss = Float[Tensor, ""]

_TERM = re.compile(r"(?:(?P<factor>[\d.]+(?:e-?\d+)?)\s*\*\s*)?(?P<name>\w+)")
_FORM = "write names with + between them, each perhaps with FACTOR * in front"


def cross_entropy(logits: Logits, truth: Truth, weights: Weights | None = None) -> Loss:
    """Return Σ w(y) · −log p(y) / Σ w(y) over the pixels with a class; 0 without any.

    Args:
        logits: scores.
        truth: classes.
        weights: w, one a class; None weighs all alike.

    """
    each = F.cross_entropy(logits, truth.long(), weight=weights, ignore_index=VOID, reduction="sum")
    return each / _total_weight(truth, weights, logits)


def focal(
    logits: Logits, truth: Truth, weights: Weights | None = None, *, gamma: float = 2.0
) -> Loss:
    """Return Σ w(y) · (1 − p(y))^γ · −log p(y) / Σ w(y) over the pixels with a class.

    Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", 2017 (arXiv
    1708.02002), equation 5, with α for the class weights; on the softmax's probability of the
    true class in place of a sigmoid's. The paper divides by the number of anchors with an object;
    here every pixel with a class counts.
    """
    surprise = F.cross_entropy(logits, truth.long(), ignore_index=VOID, reduction="none")
    # The exponential of a logarithm that rounding made positive may exceed 1.
    modulated = (1 - (-surprise).exp()).clamp(min=0) ** gamma * surprise
    if weights is not None:
        modulated = modulated * _weight_of(truth, weights)
    return modulated.sum() / _total_weight(truth, weights, logits)


def dice(logits: Logits, truth: Truth, weights: Weights | None = None) -> Loss:
    """Return 1 − the mean over the classes in the batch of 2 Σ p·g / (Σ p² + Σ g²).

    Milletari, Navab, Ahmadi, "V-Net", 2016 (arXiv 1606.04797), section 3, with sums over all
    pixels of the batch. Differences: several classes, whose mean is weighted by `weights`;
    classes that no pixel of the batch has are left out, since any prediction of them has the
    coefficient 0.
    """
    p, g = _shares(logits, truth)
    overlap = 2 * (p * g).sum(0) / (p.square().sum(0) + g.square().sum(0)).clamp(min=1e-12)
    present = (g.sum(0) > 0).to(overlap.dtype)
    if weights is not None:
        present = present * weights
    # Without a class there is nothing to learn, but a gradient of zero.
    return (present * (1 - overlap)).sum() / present.sum().clamp(min=1e-12)


def generalised_dice(logits: Logits, truth: Truth, weights: Weights | None = None) -> Loss:
    """Return 1 − 2 Σ_c w_c Σ p·g / Σ_c w_c Σ (p + g), with w_c = 1 / (Σ g)².

    Sudre, Li, Vercauteren, Ourselin, Cardoso, "Generalised Dice overlap as a deep learning loss
    function for highly unbalanced segmentations", 2017 (arXiv 1707.03237), section 2.1. Classes
    that no pixel of the batch has get no weight, where the paper's would be infinite; `weights`
    multiply the paper's.
    """
    p, g = _shares(logits, truth)
    pixels = g.sum(0)
    w = torch.where(pixels > 0, pixels.clamp(min=1).pow(-2), 0.0)
    if weights is not None:
        w = w * weights
    # Relative weights, so that squares of many pixels do not vanish in float32.
    w = w / w.max().clamp(min=1e-38)
    both = (w * (p + g).sum(0)).sum()
    loss = 1 - 2 * (w * (p * g).sum(0)).sum() / both.clamp(min=1e-12)
    return torch.where(pixels.sum() > 0, loss, logits.sum() * 0)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "dice": dice,
    "generalised_dice": generalised_dice,
}
"""By the names that `--loss` takes."""


@dataclass(frozen=True)
class SegmentationLoss:
    """A weighted sum of losses, such as `cross_entropy + 0.5 * dice`.

    Attributes:
        terms: factor and name of each.
        weights: of the classes, given to every term; None weighs all alike.

    """

    terms: tuple[tuple[float, str], ...]
    weights: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, text: str, weights: tuple[float, ...] | None = None) -> "SegmentationLoss":
        """Read `NAME` or `NAME + FACTOR * NAME + …`.

        Raises:
            InputError: the text is not of this form, or names no loss.

        """
        terms = []
        for part in text.split("+"):
            match = _TERM.fullmatch(part.strip())
            if match is None:
                raise InputError(f"cannot read loss {text!r}; {_FORM}")
            if match["name"] not in LOSSES:
                raise unknown_name("loss", match["name"], LOSSES)
            try:
                factor = float(match["factor"] or 1)
            except ValueError as error:
                raise InputError(f"cannot read loss {text!r}: {error}; {_FORM}") from error
            terms.append((factor, match["name"]))
        return cls(tuple(terms), weights)

    def __call__(self, logits: Logits, truth: Truth) -> Loss:
        """Return the sum for one batch."""
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        parts = [factor * LOSSES[name](logits, truth, weights) for factor, name in self.terms]
        return torch.stack(parts).sum()


def _weight_of(truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weight of every pixel's class; 0 for void."""
    known = truth != VOID
    return torch.where(known, weights[truth.long().masked_fill(~known, 0)], 0.0)


def _total_weight(truth: Tensor, weights: Tensor | None, logits: Tensor) -> Tensor:
    if weights is None:
        return (truth != VOID).sum().clamp(min=1).to(logits.dtype)
    return _weight_of(truth, weights).sum().clamp(min=1e-12)


def _shares(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities and truth of all pixels, both (pixel, class); void is 0 in both."""
    classes = logits.shape[1]
    known = (truth != VOID).flatten()[:, None]
    p = logits.softmax(1).permute(0, 2, 3, 1).reshape(-1, classes)
    marked = truth.long().masked_fill(truth == VOID, 0).flatten()
    return p * known, F.one_hot(marked, classes).to(p.dtype) * known
