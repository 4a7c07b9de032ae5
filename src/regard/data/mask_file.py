"""A mask file, indexed or coloured, as class indices."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from regard.core.errors import InputError
from regard.core.labels import VOID
from regard.data.class_list import ClassList
from regard.data.image_file import MAX_PIXELS
from regard.data.segmentation_dataset import ClassMask

_SMALLEST_SHARE = 0.01
"""Sides of image and mask whose ratios differ by more than this do not show the same."""


@dataclass(frozen=True, eq=False)
class MaskReader:
    """Reads masks whose pixels are written as a list of classes says.

    Attributes:
        classes: the classes and their values and colours.
        coloured: whether RGB masks are looked up by colour; indexed ones are by value.

    """

    classes: ClassList

    def __call__(self, path: Path, size: tuple[int, int]) -> ClassMask:
        """Return the mask of an image of `size` (height, width): class indices and 255.

        A mask of another size but the same shape is brought to the image's by nearest neighbour.

        Raises:
            InputError: the file cannot be read, has another shape than its image, or has pixels
                of no known class.

        """
        image = open_mask(path)
        height, width = size
        if image.size != (width, height):
            ratio = image.width * height / (image.height * width)
            if abs(ratio - 1) > _SMALLEST_SHARE:
                raise InputError(
                    f"{path} is {image.width}×{image.height} pixels and its image "
                    f"{width}×{height}; give a mask of the image's size"
                )
            image = image.resize((width, height), Image.Resampling.NEAREST)
        if image.mode == "RGB":
            return torch.from_numpy(self._from_colours(np.asarray(image), path))
        return torch.from_numpy(self._from_values(np.asarray(image), path))

    def _from_values(self, values: NDArray, path: Path) -> NDArray[np.uint8]:
        values = values.astype(np.int64)
        table = np.full(max(int(values.max()), 65535) + 1, -1, np.int64)
        table[VOID] = VOID
        table[list(self.classes.void_values)] = VOID
        table[list(self.classes.values)] = range(len(self.classes.names))
        found = table[values] if values.min() >= 0 else np.full_like(values, -1)
        if (found < 0).any():
            unknown = values[found < 0]
            known = f"{min(self.classes.values)} to {max(self.classes.values)}, or 255 for void"
            raise InputError(
                f"{path} has {len(unknown):,} pixels of value {unknown[0]}, which is no class "
                f"({known}); correct the mask, or name the class in classes.txt"
            )
        return found.astype(np.uint8)

    def _from_colours(self, pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
        if self.classes.colours is None:
            if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(
                pixels[..., 0], pixels[..., 2]
            ):
                return self._from_values(pixels[..., 0], path)  # grey, stored as RGB
            raise InputError(
                f"{path} is coloured, and the colours of the classes are not known; write them "
                "into classes.txt: NAME R G B, one a line"
            )
        codes = _codes(pixels)
        known = _codes(np.array(self.classes.colours, np.uint8))
        void = _codes(np.array(self.classes.void_colours, np.uint8).reshape(-1, 3))
        order = np.argsort(known)
        at = np.minimum(np.searchsorted(known[order], codes), len(known) - 1)
        found = order[at]
        right = known[found] == codes
        ignored = np.isin(codes, void)
        if not (right | ignored).all():
            wrong = ~(right | ignored)
            red, green, blue = pixels[wrong][0].tolist()
            raise InputError(
                f"{path} has {int(wrong.sum()):,} pixels of the colour {red} {green} {blue}, "
                "which is no class; name it in classes.txt (JPEG changes colours: masks are PNG)"
            )
        return np.where(right, found, VOID).astype(np.uint8)


def open_mask(path: Path) -> Image.Image:
    """Decode a mask: `L` or `I` where pixels are indices, else `RGB`.

    Raises:
        InputError: the file is missing, damaged or too large.

    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{path} has more than {MAX_PIXELS:,} pixels; scale it down")
            image.load()
            if image.mode in ("L", "P"):
                return Image.fromarray(np.asarray(image))  # a palette's indices, not its colours
            if image.mode == "1":
                return Image.fromarray(np.asarray(image).astype(np.uint8))
            if image.mode.startswith("I"):
                return Image.fromarray(np.asarray(image).astype(np.int32))
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; give every image its mask") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is no mask that can be read ({reason}); get it again") from error


def _codes(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return one number a colour, (…, 3) to (…)."""
    wide = colours.astype(np.int64)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
