"""What stands in the place of a part of an image that is taken away."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError

Fill = Literal["mean", "blur"] | int | float
"""`mean`, `blur`, or a number; see `fill_for`."""

# Of the shorter side: 10 pixels at 224, as Fong & Vedaldi 2017 (arXiv 1704.03296) have it.
_BLUR = 10 / 224
# The Gaussian is cut off at as many standard deviations.
_CUT = 3


def fill_for(
    images: Float[Tensor, "batch channel height width"], fill: Fill
) -> Float[Tensor, "batch channel height width"]:
    """Return what each pixel becomes when it is taken away.

    Args:
        images: preprocessed.
        fill: `mean` for zeros, which is the mean colour of the training images where the
            preprocessing subtracts it, and black where it does not; `blur` for the image under a
            Gaussian whose standard deviation is 10 of 224 pixels; a number, in the units of the
            preprocessed image.

    Raises:
        InputError: none of these.

    """
    if fill == "mean":
        return torch.zeros_like(images)
    if fill == "blur":
        return blurred(images, _BLUR * min(images.shape[2:]))
    if isinstance(fill, (str, bool)) or not math.isfinite(fill):
        raise InputError(f"fill is {fill!r}; choose 'mean', 'blur' or a finite number")
    return torch.full_like(images, fill)


def blurred(
    images: Float[Tensor, "batch channel height width"], deviation: float
) -> Float[Tensor, "batch channel height width"]:
    """Return images under a Gaussian; beyond their border, the border is repeated.

    Args:
        images: any.
        deviation: the standard deviation of the Gaussian, in pixels, above 0.

    """
    reach = max(1, round(_CUT * deviation))
    places = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-0.5 * (places / deviation) ** 2)
    weights = weights / weights.sum()
    channels = images.shape[1]
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    across = F.conv2d(padded, weights.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, weights[:, None].expand(channels, 1, -1, 1), groups=channels)
