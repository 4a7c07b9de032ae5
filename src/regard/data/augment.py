"""Random crop, flip and cutout of a whole batch at once, on the device where the batch is."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from regard.core.errors import InputError
from regard.core.shapes import RawImages

Draws = Int64[Tensor, "batch 5"]
"""A row an image: crop's top and left offset (0 to 2 × padding), flipped (0 or 1), and the row
and column of the cutout's centre."""


Flipped = Int64[Tensor, " batch"]
"""An image each: mirrored (1) or not (0)."""


@dataclass(frozen=True)
class Augment:
    """Crop after reflect padding, then a left-right flip, then cutout.

    Cutout: DeVries & Taylor, 2017 (arXiv 1708.04552). The square may reach over the border, as
    there. It is filled with mid-grey (128), where the paper fills with the mean of the data.

    Attributes:
        crop_padding: pixels of reflect padding on each side before the crop; 0 for no crop.
        flip: mirror half of the images left to right, drawn anew each epoch; or `alternating`:
            drawn in the first epoch, and from then on the other way round each time, so that two
            epochs show each image both ways (see `AlternatingFlip`).
        cutout: side of the square that is blanked, in pixels; 0 for none.

    Raises:
        InputError: a negative number of pixels, or another flip.

    """

    crop_padding: int = 4
    flip: bool | str = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for option in ("crop_padding", "cutout"):
            if getattr(self, option) < 0:
                raise InputError(f"{option}={getattr(self, option)}; give 0 or more pixels")
        if self.flip not in (True, False, "alternating"):
            raise InputError(f"flip={self.flip!r}; give True, False or 'alternating'")

    def draw(
        self,
        count: int,
        size: tuple[int, int],
        generator: torch.Generator,
        flipped: Flipped | None = None,
    ) -> Draws:
        """Draw the random numbers for `count` images of `size` (height, width).

        They are drawn on the generator's device. With a CPU generator the same seed gives the
        same batches on every device.

        Args:
            count: how many.
            size: of the images.
            generator: drawn from.
            flipped: (image,), 0 or 1, where flips are not drawn but given, as alternating ones are.

        Raises:
            InputError: flips alternate, and were not given.

        """
        if flipped is None and self.flip == "alternating":
            raise InputError(
                "alternating flips depend on image and epoch; give them, as `regard.data.Batches` "
                "does"
            )
        high = (2 * self.crop_padding + 1, 2 * self.crop_padding + 1, 1 + bool(self.flip), *size)
        uniform = torch.rand(count, 5, generator=generator, device=generator.device)
        limits = torch.tensor(high, device=generator.device)
        # rand() < 1, but float rounding may carry the product up to the limit.
        draws = torch.minimum((uniform * limits).long(), limits - 1)
        if flipped is not None:
            draws[:, 2] = flipped
        return draws

    def apply(self, images: RawImages, draws: Draws) -> RawImages:
        """Augment every image with its own row of `draws`: (batch, 3, height, width) to the same.

        Raises:
            InputError: the padding does not fit the images (reflection needs padding < side).

        """
        height, width = images.shape[2:]
        if self.crop_padding >= min(height, width):
            raise InputError(
                f"crop_padding={self.crop_padding} is too much for images of {height}×{width}; "
                f"reflection reaches at most {min(height, width) - 1} pixels"
            )
        draws = draws.to(images.device, non_blocking=True)
        if self.crop_padding or self.flip:
            images = _crop_and_flip(images, draws, self.crop_padding)
        if self.cutout:
            # Bits, because masked_fill of bytes is twenty times slower on the CPU.
            square = _cutout_square(images, draws, self.cutout)
            images = images & (~square).byte().mul(255) | square.byte().mul(128)
        return images

    def __call__(self, images: RawImages, generator: torch.Generator) -> RawImages:
        """Draw and apply: (batch, 3, height, width) to the same shape."""
        count, _, height, width = images.shape
        return self.apply(images, self.draw(count, (height, width), generator))


class AlternatingFlip:
    """Which images are mirrored in which epoch: at random in the first, then in turns.

    Jordan 2024 (arXiv 2404.00498), "alternating flip": with random flips an image is seen the same
    way in two epochs as often as not; in turns, every two epochs show all that there is to see. In
    the paper, too, the first epoch's flips are random.

    Args:
        images: how many the set has.
        generator: the first epoch's flips are drawn from it.

    """

    def __init__(self, images: int, generator: torch.Generator) -> None:
        self._first = torch.randint(2, (images,), generator=generator)

    def __call__(self, chosen: Tensor, epoch: int) -> Flipped:
        """Return for images by their index (on the CPU) whether each is mirrored: 0 or 1."""
        return (self._first[chosen] + epoch) % 2


def _reflect(position: Tensor, size: int) -> Tensor:
    """Fold positions outside 0 … size-1 back in, without repeating the edge pixel."""
    return size - 1 - (size - 1 - position.abs()).abs()


def _crop_and_flip(images: RawImages, draws: Draws, padding: int) -> RawImages:
    """Read every output pixel from where crop and flip say it comes from, in one gather."""
    height, width = images.shape[2:]
    top, left, flipped = draws[:, 0:1], draws[:, 1:2], draws[:, 2:3]
    rows = torch.arange(height, device=images.device)
    cols = torch.arange(width, device=images.device)
    source_rows = _reflect(rows + top - padding, height)
    mirrored = torch.where(flipped.bool(), width - 1 - cols, cols)
    source_cols = _reflect(mirrored + left - padding, width)
    source = source_rows[:, :, None] * width + source_cols[:, None, :]
    source = source.flatten(1)[:, None].expand(-1, 3, -1)
    return images.flatten(2).gather(2, source).view_as(images)


def _cutout_square(images: RawImages, draws: Draws, side: int) -> Tensor:
    """Return (batch, 1, height, width), True inside each image's square."""
    inside = []
    for axis, size in enumerate(images.shape[2:]):
        start = draws[:, 3 + axis, None] - side // 2
        position = torch.arange(size, device=images.device)
        inside.append((position >= start) & (position < start + side))
    rows, cols = inside
    return (rows[:, :, None] & cols[:, None, :])[:, None]
