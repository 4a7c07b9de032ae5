"""The random crop for images of any size: a random part of the image, resized to a square."""

import math
from dataclasses import dataclass

import torch
from PIL import Image

from regard.core.errors import InputError

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, exclusive at right and bottom."""

_ATTEMPTS = 10


@dataclass(frozen=True)
class ResizedCrop:
    """A random part of the image, by area and aspect ratio, resized to a square.

    Szegedy et al., "Going Deeper with Convolutions", 2015 (arXiv 1409.4842), section 6. A part
    that does not fit is drawn again, up to 10 times; then the central square is taken.

    Attributes:
        scale: least and greatest share of the image's area, in (0, 1].
        ratio: least and greatest width/height of the part.

    Raises:
        InputError: a range that is empty or not positive.

    """

    scale: tuple[float, float] = (0.25, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise InputError(f"scale={self.scale}; give (least, greatest) in 0 < … ≤ 1")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise InputError(f"ratio={self.ratio}; give (least, greatest), both positive")

    def box(self, width: int, height: int, generator: torch.Generator) -> Box:
        """Draw a part of an image: (left, top, right, bottom) in pixels, exclusive at the end."""
        for _ in range(_ATTEMPTS):
            area, shape, x, y = torch.rand(4, generator=generator).tolist()
            area = width * height * (self.scale[0] + area * (self.scale[1] - self.scale[0]))
            low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
            aspect = math.exp(low + shape * (high - low))
            part_width = round(math.sqrt(area * aspect))
            part_height = round(math.sqrt(area / aspect))
            if 0 < part_width <= width and 0 < part_height <= height:
                left = int(x * (width - part_width + 1))
                top = int(y * (height - part_height + 1))
                return left, top, left + part_width, top + part_height
        return central_square(width, height)

    def __call__(self, image: Image.Image, side: int, generator: torch.Generator) -> Image.Image:
        """Return a random part of `image`, `side` pixels wide and high."""
        box = self.box(image.width, image.height, generator)
        return image.resize((side, side), Image.Resampling.BICUBIC, box=box)


def central_square(width: int, height: int) -> Box:
    """Return the greatest square in the middle: (left, top, right, bottom)."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def resize_central_square(image: Image.Image, side: int) -> Image.Image:
    """Return the middle of `image`, `side` pixels wide and high, without distortion."""
    box = central_square(image.width, image.height)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box)
