"""RoIAlign: the features inside each box, as a small map of fixed size.

He, Gkioxari, Dollár, Girshick 2017, "Mask R-CNN" (arXiv 1703.06870), section 3: each box is
divided into cells, features are read bilinearly at regularly spaced points of each cell, and
averaged; nothing is rounded. A pixel's centre lies half a pixel inside of it, which moves the
points by half a cell of the feature map (`aligned=True` elsewhere; the paper does not say).

Points that lie up to one cell outside of the map read its border, points further out read zero, as
in the operator of the paper's authors and torchvision's. torchvision's compiled operator is used
where it loads. Ours uses that reading at a grid of points is separable: a box's cells are
`rows · features · colsᵀ` with two small matrices of weights, exactly, for any number of points.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.errors import InputError
from regard.core.shapes import FeatureMap
from regard.core.torchvision_operators import compiled_operator

RoiFeatures = Float[Tensor, "roi channel out_height out_width"]
"""The map of each box, all images together."""


def roi_align(
    features: FeatureMap,
    boxes: Sequence[Float[Tensor, "_ 4"]],
    size: int | tuple[int, int] = 7,
    *,
    scale: float,
    sampling: int | None = 2,
) -> RoiFeatures:
    """Return the features inside each box, image after image.

    Differentiable in the features; no gradient goes to the boxes.

    Args:
        features: a map for each image.
        boxes: of each image, xyxy in pixels of the image; there may be none.
        size: (rows, columns) of the result, or one number for both.
        scale: cells of the feature map per pixel, such as 1 / 16.
        sampling: points a cell along each axis; None for as many as the cell has features
            (⌈box / size⌉).

    Raises:
        InputError: as many lists of boxes as images are expected, and positive sizes.

    """
    size = (size, size) if isinstance(size, int) else size
    _check(features, boxes, size, scale, sampling)
    places = [
        each.detach().to(torch.promote_types(features.dtype, torch.float32)) for each in boxes
    ]
    compiled = compiled_operator("roi_align", differentiable=True)
    if compiled is not None and features.device.type in ("cpu", "cuda"):
        images = torch.cat([each.new_full((len(each), 1), i) for i, each in enumerate(places)])
        rois = torch.cat([images, torch.cat(places)], 1).to(features.dtype)
        return compiled(features, rois, scale, *size, sampling or -1, True)
    maps = [
        _separable(image, each * scale - 0.5, size, sampling)
        for image, each in zip(features, places, strict=True)
    ]
    return torch.cat(maps)


def _separable(
    features: Tensor, boxes: Tensor, size: tuple[int, int], sampling: int | None
) -> Tensor:
    """One image's boxes, in cells of the map: (roi, channel, out_height, out_width)."""
    left, top, right, bottom = boxes.unbind(1)
    rows = reading_weights(top, bottom, size[0], features.shape[1], sampling)
    cols = reading_weights(left, right, size[1], features.shape[2], sampling)
    # Columns first, for all boxes in one product; then each box's own rows. As one call: two
    # products in a row look like linear attention to `regard.capture`.
    rows, cols = rows.to(features.dtype), cols.to(features.dtype)
    return torch.einsum("chw,rjw,rih->rcij", features, cols, rows)


def reading_weights(
    start: Float[Tensor, " roi"],
    end: Float[Tensor, " roi"],
    cells: int,
    length: int,
    sampling: int | None,
) -> Float[Tensor, "roi cell position"]:
    """Return how much each position along one axis counts in each cell of each box.

    Args:
        start: where the boxes begin, so that position 0 is the centre of the first feature.
        end: where they end.
        cells: how many the box is divided into.
        length: of the axis.
        sampling: points a cell, or None for ⌈extent / cells⌉.

    """
    cell = (end - start) / cells
    if sampling is None:
        points = cell.ceil().clamp(min=0)
        most = int(points.max()) if len(points) else 0
    else:
        points, most = torch.full_like(cell, sampling), sampling
    point = torch.arange(most, device=start.device, dtype=start.dtype)
    # A box without extent has no points: the quotient is never used.
    inside = (point + 0.5) / points.clamp(min=1)[:, None]
    number = torch.arange(cells, device=start.device, dtype=start.dtype)
    where = start[:, None, None] + (number[:, None] + inside[:, None]) * cell[:, None, None]
    counts = (where >= -1) & (where <= length) & (point < points[:, None])[:, None]
    where = where.clamp(0, length - 1)
    position = torch.arange(length, device=start.device, dtype=start.dtype)
    tents = (1 - (where[..., None] - position).abs()).clamp(min=0)
    return (tents * counts[..., None]).sum(2) / points.clamp(min=1)[:, None, None]


def _check(
    features: Tensor,
    boxes: Sequence[Tensor],
    size: tuple[int, int],
    scale: float,
    sampling: int | None,
) -> None:
    if len(boxes) != len(features):
        raise InputError(f"boxes of {len(boxes)} images with features of {len(features)}")
    if min(size) < 1 or scale <= 0 or (sampling is not None and sampling < 1):
        raise InputError(
            f"size={size}, scale={scale}, sampling={sampling}; all must be positive "
            "(sampling=None for as many points as the boxes need)"
        )
