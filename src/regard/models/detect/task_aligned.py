"""Task-aligned assignment: a box is answered for by the cells that already find it best.

Feng, Zhong, Gao, Scott, Huang, "TOOD: Task-aligned One-stage Object Detection", 2021 (arXiv
2108.07755), section 3.2: a cell's alignment with a box is t = s^α · u^β, of its score s of the
box's class and the overlap u of its predicted box; the m most aligned cells whose centres lie in
the box are its positives.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from regard.attention.options import at_least
from regard.core.boxes import Boxes, iou

_TINY = 1e-9


class Assignment(NamedTuple):
    """Which cells answer for boxes.

    Attributes:
        positive: whether a cell answers for a box.
        box: of each cell, the box; 0 where it answers for none.
        target: the class score that it should have: the alignments t, scaled for each box so that
            the largest is the largest overlap among its positives (the paper's t̂); 0 elsewhere.

    """

    positive: Bool[Tensor, " place"]
    box: Int[Tensor, " place"]
    target: Float[Tensor, " place"]


@torch.no_grad()
def assign(
    scores: Float[Tensor, "place class"],
    predicted: Float[Tensor, "place 4"],
    centres: Float[Tensor, "place 2"],
    boxes: Boxes,
    labels: Int[Tensor, " box"],
    *,
    most: int = 13,
    alpha: float = 1.0,
    beta: float = 6.0,
) -> Assignment:
    """Assign the boxes of an image to cells.

    A cell among the positives of several boxes answers for the one that it overlaps most.

    Args:
        scores: of each class, in [0, 1].
        predicted: the cells' boxes, xyxy.
        centres: of the cells, (x, y).
        boxes: the true ones.
        labels: their classes.
        most: cells a box, m in the paper.
        alpha: power of the score in the alignment.
        beta: power of the overlap.

    Raises:
        InputError: `most` below 1.

    """
    at_least(1, most=most)
    places = len(scores)
    if not len(boxes):
        nothing = torch.zeros(places, dtype=torch.int64, device=scores.device)
        return Assignment(nothing.bool(), nothing, scores.new_zeros(places))
    overlap = iou(boxes, predicted)
    aligned = scores[:, labels].T ** alpha * overlap**beta
    inside = _inside(centres, boxes)
    # Below every alignment, which may be 0 itself while nothing has been learnt.
    ranked = aligned.masked_fill(~inside, -1.0)
    best = ranked.topk(min(most, places), dim=1).indices
    chosen = torch.zeros_like(inside).scatter_(1, best, value=True) & inside
    # Of several boxes, a cell keeps the one that it overlaps most.
    kept = overlap.masked_fill(~chosen, -1.0).argmax(0)
    positive = chosen.any(0)
    mine = torch.zeros_like(chosen)
    mine[kept, torch.arange(places, device=kept.device)] = positive
    aligned, overlap = aligned * mine, overlap * mine
    scale = overlap.amax(1) / aligned.amax(1).clamp(min=_TINY)
    target = (aligned * scale[:, None]).amax(0)
    return Assignment(positive, kept * positive, target)


def _inside(centres: Tensor, boxes: Tensor) -> Tensor:
    """Return (box, place): whether a centre lies in a box."""
    after = (centres[None] > boxes[:, None, :2]).all(2)
    return after & (centres[None] < boxes[:, None, 2:]).all(2)
