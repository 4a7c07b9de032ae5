"""Random part, flip and colours of an image, and the same part and flip of its mask."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from regard.core.errors import InputError
from regard.core.labels import VOID
from regard.core.shapes import Images
from regard.data.segmentation_dataset import ClassMask, Picture

_GREY = 128
Size = tuple[int, int]
"""(height, width) in pixels."""

Window = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of an image; it may reach over the border."""


@dataclass(frozen=True)
class SegmentationAugment:
    """A window of random scale and shape, a left-right flip, then brightness, contrast, saturation.

    At scale 1 the window is the whole image. At 2 it is half as high and wide, somewhere inside
    it. Below 1 it reaches over the border: what lies outside is grey, and void in the mask.

    Attributes:
        scale: least and greatest magnification, drawn evenly in its logarithm.
        stretch: greatest ratio by which the shape of the window is changed, either way.
        flip: mirror half of the images left to right.
        jitter: brightness, contrast and saturation are each multiplied by up to 1 ± this.

    Raises:
        InputError: a range that is empty or not positive.

    """

    scale: tuple[float, float] = (0.75, 2.0)
    stretch: float = 1.2
    flip: bool = True
    jitter: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale={self.scale}; give (least, greatest), both positive")
        if not self.stretch >= 1:
            raise InputError(f"stretch={self.stretch}; give a ratio of at least 1")
        if not 0 <= self.jitter < 1:
            raise InputError(f"jitter={self.jitter}; give a share in [0, 1)")

    def window(
        self, size: Size, random: torch.Generator, part: tuple[float, float] = (1.0, 1.0)
    ) -> tuple[Window, bool]:
        """Draw the window of an image of `size`, and whether it is mirrored.

        Args:
            size: of the image.
            random: draws.
            part: the shares of height and width that are shown at scale 1.

        """
        zoom, shape, down, across, mirror = torch.rand(5, generator=random).tolist()
        low, high = map(math.log, self.scale)
        scale = math.exp(low + zoom * (high - low))
        ratio = math.exp((shape - 0.5) * math.log(self.stretch))
        height, width = part[0] * size[0] / scale * ratio, part[1] * size[1] / scale / ratio
        # Where the window is larger than the image, the image lies somewhere inside of it.
        top, left = down * (size[0] - height), across * (size[1] - width)
        return (left, top, left + width, top + height), self.flip and mirror < 0.5

    def colour(self, images: Images, draws: Float[Tensor, "batch 3"]) -> Images:
        """Change brightness, contrast and saturation of images in [0, 1], each by its own factors.

        Args:
            images: (batch, 3, height, width).
            draws: evenly drawn from [0, 1), a row an image.

        """
        if not self.jitter:
            return images
        factors = 1 + self.jitter * (2 * draws - 1)
        bright, contrast, saturation = factors.to(images.device)[:, :, None, None, None].unbind(1)
        images = images * bright
        middle = images.mean((1, 2, 3), keepdim=True)
        images = middle + contrast * (images - middle)
        # Rec. 601 luma: what a colour is worth in grey.
        weights = images.new_tensor((0.299, 0.587, 0.114))[:, None, None]
        grey = (images * weights).sum(1, keepdim=True)
        return (grey + saturation * (images - grey)).clamp(0, 1)


def whole(size: Size) -> Window:
    """Return the window that is an image itself."""
    return 0.0, 0.0, float(size[1]), float(size[0])


def cut_out(
    image: Picture, mask: ClassMask, window: Window, size: Size, *, mirrored: bool = False
) -> tuple[UInt8[Tensor, "3 rows cols"], UInt8[Tensor, "rows cols"]]:
    """Bring a window of an image and its mask to `size`: bilinear with antialiasing, and nearest.

    What lies outside of the image is grey (128), and void in the mask.
    """
    height, width = size
    left, top, right, bottom = window
    across, down = (right - left) / width, (bottom - top) / height  # source pixels a cell
    # The cells whose middle lies inside of the image, and the part of the image they show.
    cols = _inside(left, across, width, mask.shape[1])
    rows = _inside(top, down, height, mask.shape[0])
    box = (
        max(left + cols[0] * across, 0.0),
        max(top + rows[0] * down, 0.0),
        min(left + cols[1] * across, float(mask.shape[1])),
        min(top + rows[1] * down, float(mask.shape[0])),
    )
    part = (cols[1] - cols[0], rows[1] - rows[0])
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    scaled = np.asarray(picture.resize(part, Image.Resampling.BILINEAR, box=box))
    canvas = np.full((height, width, 3), _GREY, np.uint8)
    canvas[rows[0] : rows[1], cols[0] : cols[1]] = scaled
    picked = _picked(mask.numpy(), (left, top), (across, down), rows, cols)
    truth = np.full((height, width), VOID, np.uint8)
    truth[rows[0] : rows[1], cols[0] : cols[1]] = picked
    if mirrored:
        canvas, truth = canvas[:, ::-1], truth[:, ::-1]
    pixels = torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1)))
    return pixels, torch.from_numpy(np.ascontiguousarray(truth))


def _inside(start: float, step: float, cells: int, size: int) -> tuple[int, int]:
    """Return the range of the cells whose middle lies in 0 … size; at least one."""
    first = max(0, math.ceil(-start / step - 0.5))
    last = min(cells, math.ceil((size - start) / step - 0.5))
    first = min(first, cells - 1)
    return first, max(last, first + 1)


def _picked(
    mask: NDArray[np.uint8],
    start: tuple[float, float],
    step: tuple[float, float],
    rows: tuple[int, int],
    cols: tuple[int, int],
) -> NDArray[np.uint8]:
    """Return the mask's value at the middle of every cell."""
    at = [
        np.clip(np.floor(begin + (np.arange(*cells) + 0.5) * each).astype(int), 0, limit - 1)
        for begin, each, cells, limit in zip(
            start[::-1], step[::-1], (rows, cols), mask.shape, strict=True
        )
    ]
    return mask[np.ix_(*at)]
