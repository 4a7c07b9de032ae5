"""Which found boxes are which true ones, and the average precision that follows.

The rules are COCO's (Lin et al. 2014, arXiv 1405.0312, and the evaluation code that came with it):
found boxes choose by falling score, each the true box of its class that it overlaps most, if by the
threshold at least and not taken; a box that matches only what is to be ignored counts for nothing.
The figures that are reported come from faster-coco-eval; this is for what it does not give: which
boxes were missed, and average precision under image weights, for the bootstrap.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regard.core.boxes import area, iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The IoU from which a box counts as found: COCO's ten."""

RECALLS = np.linspace(0, 1, 101)
"""Where precision is read."""

MOST = 100
"""Boxes of an image and class that count, by falling score."""

Found = Mapping[str, Tensor]
"""`boxes` (n, 4), `scores` (n,) and `labels` (n,) of one image, or as truth without `scores` and
perhaps with `ignored` (n,)."""

_SAME = 1e-10
"""An IoU of 1 that was rounded still is one."""


@dataclass(frozen=True, eq=False)
class Matched:
    """The found boxes of one class, of one image or of many.

    Attributes:
        scores: (box,), falling within an image.
        images: (box,), the place of the image of each.
        right: (threshold, box), True where it is a true box.
        counted: (threshold, box), False where it matches what is to be ignored.
        truths: (image,), how many true boxes each image has, the ignored ones left out.

    """

    scores: NDArray[np.float64]
    images: NDArray[np.int64]
    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    truths: NDArray[np.int64]


def of_class(seen: Found, true: Found, label: int) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
    """Return one image's found boxes of a class by falling score (places), true ones, ignored."""
    places = (seen["labels"] == label).nonzero().flatten()
    order = seen["scores"][places].argsort(descending=True, stable=True)[:MOST]
    members = true["labels"] == label
    ignored = true.get("ignored", torch.zeros_like(members))[members]
    return places[order], true["boxes"][members].cpu(), ignored.cpu().numpy().astype(bool)


def match_image(
    boxes: Tensor, truth: Tensor, ignored: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Match the boxes of one class in one image.

    Args:
        boxes: (box, 4), by falling score.
        truth: (true box, 4).
        ignored: (true box,), which of them are to be ignored; these can be matched many times, and
            overlap is counted as a share of the found box.

    Returns:
        (threshold, box), the true box of each or -1; and (box, true box), how much they overlap.

    """
    overlaps = _overlaps(boxes.double(), truth.double(), ignored)
    chosen = np.full((len(THRESHOLDS), len(boxes)), -1, dtype=np.int64)
    if not len(truth):
        return chosen, overlaps
    free = np.ones((len(THRESHOLDS), len(truth)), dtype=bool)
    # Real ones first; of equally good ones the last, as COCO has it.
    order = np.concatenate([np.flatnonzero(~ignored), np.flatnonzero(ignored)])[::-1]
    least = np.minimum(THRESHOLDS, 1 - _SAME)
    rows = np.arange(len(THRESHOLDS))
    for number, overlap in enumerate(overlaps):
        possible = (overlap >= least[:, None]) & (free | ignored)
        if not possible.any():
            continue
        # An ignored box is taken only where no real one can be.
        preference = np.where(possible, overlap + 2 * ~ignored, -1.0)[:, order]
        best = order[preference.argmax(1)]
        matched = possible[rows, best]
        chosen[matched, number] = best[matched]
        free[rows[matched], best[matched]] = False
    return chosen, overlaps


def _overlaps(boxes: Tensor, truth: Tensor, ignored: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (box, true box): IoU; for ignored ones the share of the found box inside of them."""
    overlaps = iou(boxes, truth)
    if ignored.any():
        sizes = area(boxes)[:, None]
        both = overlaps * (sizes + area(truth)[None]) / (1 + overlaps)
        inside = both / sizes.clamp(min=_SAME)
        overlaps = torch.where(torch.from_numpy(ignored)[None], inside, overlaps)
    return overlaps.numpy()


def average_precision(
    matched: Matched, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64] | None:
    """Return COCO's average precision at each threshold, or None where there is no true box.

    Precision is made to fall with recall, read at 101 recalls, and averaged.

    Args:
        matched: the boxes of one class, of all images.
        weights: (image,), how often each image counts; None for once.

    """
    weights = np.ones(len(matched.truths)) if weights is None else weights
    total = float(weights @ matched.truths)
    if not total:
        return None
    order = np.argsort(-matched.scores, kind="stable")
    weight = weights[matched.images[order]]
    right = np.cumsum(weight * (matched.right & matched.counted)[:, order], 1)
    wrong = np.cumsum(weight * (~matched.right & matched.counted)[:, order], 1)
    precision = right / np.maximum(right + wrong, np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    # Beyond the greatest recall there is no precision.
    precision = np.pad(precision, ((0, 0), (0, 1)))
    places = [np.searchsorted(row, RECALLS, side="left") for row in right / total]
    return np.array([row[at].mean() for row, at in zip(precision, places, strict=True)])
