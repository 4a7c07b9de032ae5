"""Non-maximum suppression: of boxes that overlap much, the one with the highest score stays.

Greedy, exact and deterministic: the boxes are taken by falling score, equal scores in their given
order, and each suppresses the later ones that it overlaps by more than the threshold. torchvision's
compiled operator does the same and is used where it loads. Ours resolves a block of boxes at once:
"kept" is repeated until it is stable, which gives the greedy result (Zheng, Wang, Ren, Liu, Ye,
Hu, Zuo 2020, arXiv 2005.03572, section 4: Cluster-NMS, there for the whole matrix at once).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from regard.core.boxes import Boxes, iou
from regard.core.errors import InputError
from regard.core.torchvision_operators import compiled_operator

_BLOCK = 1024
"""Boxes at a time: memory is this many times the number of boxes."""


def nms(
    boxes: Boxes, scores: Float[Tensor, " box"], threshold: float = 0.5
) -> Int64[Tensor, " kept"]:
    """Return the indices of the boxes that stay, by falling score.

    Args:
        boxes: xyxy.
        scores: one each; of equal ones the earlier comes first.
        threshold: a box goes where it overlaps one that stays by an IoU of more than this.

    Raises:
        InputError: a threshold outside of 0 to 1, or a score that is not a number.

    """
    _check(scores, threshold)
    boxes, scores = boxes.detach(), scores.detach()
    compiled = compiled_operator("nms")
    # The compiled operator asks for one type, and is inexact in half precision.
    if compiled is not None and boxes.device.type in ("cpu", "cuda"):
        wide = torch.promote_types(torch.promote_types(boxes.dtype, scores.dtype), torch.float32)
        return compiled(boxes.to(wide), scores.to(wide), threshold)
    return _by_blocks(boxes, scores, None, threshold)


def batched_nms(
    boxes: Boxes,
    scores: Float[Tensor, " box"],
    groups: Int64[Tensor, " box"],
    threshold: float = 0.5,
) -> Int64[Tensor, " kept"]:
    """Do the same within each group (class, image, or both): no box suppresses another group's.

    Boxes are compared as they are. (Moving each group to a place of its own, as torchvision does,
    rounds them.)

    Args:
        boxes: xyxy, of all groups.
        scores: one each.
        groups: the group of each box.
        threshold: as for `nms`.

    Returns:
        The indices of the boxes that stay, by falling score, all groups together.

    Raises:
        InputError: as for `nms`.

    """
    _check(scores, threshold)
    if compiled_operator("nms") is None:
        return _by_blocks(boxes.detach(), scores.detach(), groups, threshold)
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for group in groups.unique():
        members = (groups == group).nonzero().flatten()
        kept[members[nms(boxes[members], scores[members], threshold)]] = True
    order = scores.detach().argsort(descending=True, stable=True)
    return order[kept[order]]


def _by_blocks(
    boxes: Tensor, scores: Tensor, groups: Tensor | None, threshold: float
) -> Int64[Tensor, " kept"]:
    """Return what stays: one block of boxes after the other, by falling score."""
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order]
    groups = groups[order] if groups is not None else None
    alive = torch.ones_like(order, dtype=torch.bool)
    for begin in range(0, len(order), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        over = iou(boxes[block], boxes[begin:]) > threshold
        if groups is not None:
            over &= groups[block, None] == groups[None, begin:]
        over.triu_(1)
        within = over[:, : over.shape[0]]
        kept = _stable(within, alive[block])
        alive[block] = kept
        alive[begin + over.shape[0] :] &= ~over[kept, over.shape[0] :].any(0)
    return order[alive]


def _stable(over: Tensor, candidates: Tensor) -> Tensor:
    """Return who stays among candidates: those that nobody who stays suppresses.

    `over` is strictly upper triangular, so after n rounds the first n are final.
    """
    kept = candidates
    while True:
        again = candidates & ~(over & kept[:, None]).any(0)
        if torch.equal(again, kept):
            return kept
        kept = again


def _check(scores: Tensor, threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold={threshold}; give an IoU from 0 to 1")
    if scores.isnan().any():
        raise InputError("a score is NaN; scores must be numbers, so that boxes can be ordered")
