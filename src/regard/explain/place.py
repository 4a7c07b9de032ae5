"""Where in an image a target lies: a box, or a region; and how sure the model is of what is there.

It is drawn around what is explained, and it tells the check what the model's answer there is.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F

Corners = tuple[int | float, int | float, int | float, int | float]
"""A box as users write it: left, top, right, bottom."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a target lies in one image.

    Attributes:
        label: of the class that is explained there.
        sure: how likely that class is there, from 0 to 1.
        box: left, top, right, bottom; None for a region.
        in_pixels: whether the box is in pixels of the image, and not in shares of its sides.
        mask: (row, col), True inside, at any resolution over the whole image; None for a box.

    """

    label: str
    sure: float
    box: Corners | None = None
    in_pixels: bool = False
    mask: Bool[Tensor, "row col"] | None = None

    def inside(self, size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
        """Return what lies inside, in an image of `size` (height, width): at least a pixel."""
        height, width = size
        if self.mask is not None:
            values = self.mask[None, None].float()
            return (F.interpolate(values, size, mode="nearest")[0, 0] > 0).cpu().numpy()
        drawn = np.zeros(size, dtype=bool)
        if self.box is not None:
            left, top, right, bottom = self.box
            down, across = (1, 1) if self.in_pixels else (height, width)
            rows = _between(top * down, bottom * down, height)
            cols = _between(left * across, right * across, width)
            drawn[rows, cols] = True
        return drawn


def _between(start: float, end: float, pixels: int) -> slice:
    """Return the pixels of a side between two places on it: at least one."""
    first = min(pixels - 1, max(0, round(start)))
    return slice(first, max(first + 1, min(pixels, round(end))))
