"""Boxes as numbers: areas, overlaps, and the ways of writing them.

A box is (left, top, right, bottom), xyxy in pixels, exclusive at the end. Boxes without area
overlap nothing. Half precision is computed in float32, since areas of a thousand pixels square do
not fit it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Boxes = Float[Tensor, "box 4"]
"""xyxy in pixels."""

_TINY = 1e-7
"""The least area that is divided by, in square pixels."""


def area(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any"]:
    """Return the area of each box, 0 for one whose sides are swapped."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def iou(boxes: Boxes, others: Float[Tensor, "other 4"]) -> Float[Tensor, "box other"]:
    """Return the intersection over union of every box with every other, from 0 to 1."""
    overlap, union = _overlap(_wide(boxes)[:, None], _wide(others)[None])
    return overlap / union.clamp(min=_TINY)


def aligned_iou(boxes: Boxes, others: Boxes) -> Float[Tensor, " box"]:
    """Return the intersection over union of each box with the other in the same row."""
    overlap, union = _overlap(_wide(boxes), _wide(others))
    return overlap / union.clamp(min=_TINY)


def giou(boxes: Boxes, others: Boxes) -> Float[Tensor, " box"]:
    """Return the generalised IoU of each box with the other in the same row, from -1 to 1.

    Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese 2019 (arXiv 1902.09630), algorithm 1: IoU
    less the share of the smallest box around both that neither covers. The loss is 1 - giou.
    """
    boxes, others = _wide(boxes), _wide(others)
    overlap, union = _overlap(boxes, others)
    around = area(_around(boxes, others))
    empty = (around - union) / around.clamp(min=_TINY)
    return overlap / union.clamp(min=_TINY) - empty


def diou(boxes: Boxes, others: Boxes) -> Float[Tensor, " box"]:
    """Return the distance IoU of each box with the other in the same row, from -1 to 1.

    Zheng, Wang, Liu, Li, Ye, Ren 2019 (arXiv 1911.08287), equation 7: IoU less the squared
    distance of the centres over the squared diagonal of the smallest box around both.
    """
    boxes, others = _wide(boxes), _wide(others)
    around = _around(boxes, others)
    diagonal = (around[:, 2:] - around[:, :2]).square().sum(1)
    centres = (boxes[:, :2] + boxes[:, 2:] - others[:, :2] - others[:, 2:]) / 2
    return aligned_iou(boxes, others) - centres.square().sum(1) / diagonal.clamp(min=_TINY)


def ciou(boxes: Boxes, others: Boxes) -> Float[Tensor, " box"]:
    """Return the complete IoU of each box with the other in the same row.

    Zheng, Wang, Liu, Li, Ye, Ren 2019 (arXiv 1911.08287), equations 8 to 11: the distance IoU less
    α v, where v compares the aspect ratios. As there α is a constant for the gradient; the
    gradient of v is the true one, where the paper leaves out its factor 1/(w² + h²).
    """
    boxes, others = _wide(boxes), _wide(others)
    one, other = (
        torch.atan2(*(each[:, 2:] - each[:, :2]).clamp(min=_TINY).unbind(1))
        for each in (boxes, others)
    )
    aspect = 4 / math.pi**2 * (other - one).square()
    with torch.no_grad():
        weight = aspect / (1 - aligned_iou(boxes, others) + aspect).clamp(min=_TINY)
    return diou(boxes, others) - weight * aspect


def clip(boxes: Float[Tensor, "*any 4"], size: tuple[int, int]) -> Float[Tensor, "*any 4"]:
    """Return the parts of the boxes inside an image of `size` = (height, width) in pixels."""
    height, width = size
    sides = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), sides)


def to_xyxy(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 4"]:
    """Return xyxy of boxes that are given as (centre x, centre y, width, height)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def to_cxcywh(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 4"]:
    """Return (centre x, centre y, width, height) of boxes xyxy."""
    start, end = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(start + end) / 2, end - start], -1)


def _wide(boxes: Tensor) -> Tensor:
    return boxes.float() if boxes.dtype in (torch.float16, torch.bfloat16) else boxes


def _overlap(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Return the areas of intersection and union, broadcast."""
    start = torch.maximum(boxes[..., :2], others[..., :2])
    end = torch.minimum(boxes[..., 2:], others[..., 2:])
    shared = (end - start).clamp(min=0).prod(-1)
    return shared, area(boxes) + area(others) - shared


def _around(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the smallest boxes around both."""
    start = torch.minimum(boxes[:, :2], others[:, :2])
    return torch.cat([start, torch.maximum(boxes[:, 2:], others[:, 2:])], 1)
