"""Anchors: boxes laid out over the levels of a pyramid, and boxes as offsets from them.

Ren, He, Girshick, Sun, "Faster R-CNN", 2015 (arXiv 1506.01497), sections 3.1.1 and 3.1.2
(equation 2); a size for each level after Lin et al. 2016 (arXiv 1612.03144), section 4.1.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Boxes = Float[Tensor, "*#place 4"]

_LARGEST = math.log(1000 / 16)
"""Of a predicted logarithm of a side: what an untrained network says must not overflow."""


def cell_anchors(
    size: float, ratios: Sequence[float], scales: Sequence[float]
) -> Float[Tensor, "anchor 4"]:
    """Return the anchors of one cell, xyxy about (0, 0).

    Args:
        size: the side in pixels of the square anchor of scale 1.
        ratios: height over width; the area stays the same.
        scales: factors of the side.

    """
    boxes = []
    for scale in scales:
        for ratio in ratios:
            height, width = size * scale * ratio**0.5, size * scale / ratio**0.5
            boxes.append((-width / 2, -height / 2, width / 2, height / 2))
    return torch.tensor(boxes)


def cell_centres(
    rows: int, cols: int, stride: int, *, device: torch.device | str = "cpu"
) -> Float[Tensor, "place 2"]:
    """Return (x, y) of the middle of every cell in pixels, row by row."""
    y = (torch.arange(rows, device=device) + 0.5) * stride
    x = (torch.arange(cols, device=device) + 0.5) * stride
    grid = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((grid[1].flatten(), grid[0].flatten()), 1)


def level_anchors(
    rows: int, cols: int, stride: int, cell: Float[Tensor, "anchor 4"]
) -> Float[Tensor, "place 4"]:
    """Return the anchors of every cell of a level, xyxy in pixels: row, column, then anchor."""
    centres = cell_centres(rows, cols, stride, device=cell.device)
    return (centres.repeat(1, 2)[:, None] + cell).flatten(0, 1)


def encode(boxes: Boxes, anchors: Boxes) -> Boxes:
    """Return (t_x, t_y, t_w, t_h) of boxes with regard to anchors, both xyxy: equation 2."""
    centre, side = _centre_and_side(boxes)
    anchor_centre, anchor_side = _centre_and_side(anchors)
    offset = (centre - anchor_centre) / anchor_side
    return torch.cat((offset, (side / anchor_side).log()), -1)


def decode(offsets: Boxes, anchors: Boxes) -> Boxes:
    """Return the boxes, xyxy, that offsets from anchors stand for: the inverse of `encode`."""
    anchor_centre, anchor_side = _centre_and_side(anchors)
    centre = anchor_centre + offsets[..., :2] * anchor_side
    half = offsets[..., 2:].clamp(max=_LARGEST).exp() * anchor_side / 2
    return torch.cat((centre - half, centre + half), -1)


def _centre_and_side(boxes: Tensor) -> tuple[Tensor, Tensor]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
