"""Where an image comes to lie on the canvas that a network sees, and its boxes with it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from regard.core.boxes import area, clip
from regard.data.detection_dataset import Boxes

GREY = 114
"""What the canvas shows where no image lies, as in YOLO's letterbox."""

_LEAST_SIDE = 1.0
"""A box that keeps less than a pixel of height or width is gone."""

Size = tuple[int, int]
"""(height, width) in pixels."""

Window = tuple[int, int, int, int]
"""A part of the canvas: left, top, right, bottom."""


@dataclass(frozen=True)
class Placement:
    """Sends x to scale · x + shift, mirrored first where it says so.

    Attributes:
        scale: (down, across), canvas pixels per image pixel.
        shift: (down, across), where the image's top left corner comes to lie.
        mirrored: left and right are swapped.
        upside_down: top and bottom are swapped.

    """

    scale: tuple[float, float]
    shift: tuple[float, float]
    mirrored: bool = False
    upside_down: bool = False

    def corners(self, boxes: Float[Tensor, "box 4"], size: Size) -> Float[Tensor, "box 4"]:
        """Return where boxes of an image of `size` come to lie, also outside of the canvas."""
        left, top, right, bottom = boxes.unbind(1)
        if self.mirrored:
            left, right = size[1] - right, size[1] - left
        if self.upside_down:
            top, bottom = size[0] - bottom, size[0] - top
        (down, across), (y, x) = self.scale, self.shift
        placed = (left * across + x, top * down + y, right * across + x, bottom * down + y)
        return torch.stack(placed, 1)

    def back(self, boxes: Float[Tensor, "box 4"], size: Size) -> Float[Tensor, "box 4"]:
        """Return boxes on the canvas in the pixels of the image of `size`: undo `corners`."""
        (down, across), (y, x) = self.scale, self.shift
        shift, scale = boxes.new_tensor([x, y, x, y]), boxes.new_tensor([across, down] * 2)
        flat = Placement((1.0, 1.0), (0.0, 0.0), self.mirrored, self.upside_down)
        return flat.corners((boxes - shift) / scale, size)


def letterbox(size: Size, canvas: Size) -> Placement:
    """Return the placement of a whole image in the middle, as large as it fits, undistorted."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    return Placement(
        (scale, scale), ((canvas[0] - size[0] * scale) / 2, (canvas[1] - size[1] * scale) / 2)
    )


def stretch(size: Size, canvas: Size) -> Placement:
    """Return the placement of an image over the whole canvas, distorted where it must be."""
    return Placement((canvas[0] / size[0], canvas[1] / size[1]), (0.0, 0.0))


def draw_on(
    canvas: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    placement: Placement,
    window: Window | None = None,
) -> None:
    """Draw an image on a canvas (both (height, width, 3)), inside a window only.

    Whole canvas pixels are drawn, as far as the image reaches; each is read where the placement
    says, to a fraction of a pixel.
    """
    left, top, right, bottom = window or (0, 0, canvas.shape[1], canvas.shape[0])
    height, width = pixels.shape[:2]
    (down, across), (y, x) = placement.scale, placement.shift
    left, right = max(left, round(x)), min(right, round(x + width * across))
    top, bottom = max(top, round(y)), min(bottom, round(y + height * down))
    if left >= right or top >= bottom:
        return
    start, end = (left - x) / across, (right - x) / across
    if placement.mirrored:
        start, end = width - end, width - start
    first, last = (top - y) / down, (bottom - y) / down
    if placement.upside_down:
        first, last = height - last, height - first
    part = (max(0.0, start), max(0.0, first), min(float(width), end), min(float(height), last))
    # Turned after it is drawn: it is smaller then.
    image = Image.fromarray(np.ascontiguousarray(pixels))
    shape = (right - left, bottom - top)
    drawn = np.asarray(image.resize(shape, Image.Resampling.BILINEAR, box=part))
    drawn = drawn[::-1] if placement.upside_down else drawn
    canvas[top:bottom, left:right] = drawn[:, ::-1] if placement.mirrored else drawn


def place_boxes(
    boxes: Boxes,
    size: Size,
    placement: Placement,
    canvas: Size,
    window: Window | None = None,
    visible: float = 0.0,
) -> Boxes:
    """Return the boxes that can be seen on the canvas, clipped to it.

    Args:
        boxes: of an image.
        size: of the image.
        placement: of the image.
        canvas: its size.
        window: the part of the canvas on which the image is drawn; None for all.
        visible: boxes of which a smaller share can be seen are left out.

    """
    placed = placement.corners(boxes.corners, size)
    if window is None:
        shown = clip(placed, canvas)
    else:
        left, top, right, bottom = window
        offset = placed.new_tensor([left, top, left, top])
        shown = clip(placed - offset, (bottom - top, right - left)) + offset
    sides = shown[:, 2:] - shown[:, :2]
    kept = (sides >= _LEAST_SIDE).all(1) & (area(shown) >= visible * area(placed))
    return Boxes(shown, boxes.labels, boxes.ignored).chosen(kept)
