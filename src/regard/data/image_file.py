"""Read any image file as plain RGB, or say in one line why that cannot be done."""

import logging
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from regard.core.errors import InputError

MAX_PIXELS = 89_478_485
"""A file that claims more pixels than this (a quarter of a GiB in RGB) is refused unread."""

# A closed list: among Pillow's other formats are some that start programs (EPS: Ghostscript).
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO")
_READABLE = "give a JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, JPEG 2000, AVIF or ICO file"

# What Pillow's decoders raise on damaged files.
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


def read_image(path: str | Path) -> Image.Image:
    """Read an image file as 8-bit RGB, upright.

    Grey, palette and CMYK become RGB; transparency is laid over white; 16 bits are scaled to 8;
    the EXIF rotation is applied; of several frames the first is read, and a warning is logged.

    Raises:
        InputError: the file is missing, unreadable, empty, no image, damaged or too large.

    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give an image file")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file; give an image file")
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path} cannot be read ({reason}); check its permissions") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode the bytes of an image file as `read_image` does; `name` is for error messages."""
    if not data:
        raise InputError(f"{name} is empty (0 bytes); get the file again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # damage that matters is an error anyway
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = _open(data, name)
        try:
            image.load()
            return _to_rgb(_upright(image), name)
        except InputError:
            raise
        except _DECODING_ERRORS as error:
            raise InputError(
                f"{name} is damaged or cut short ({_one_line(error)}); get the file again"
            ) from error


def image_to_tensor(image: Image.Image) -> UInt8[Tensor, "3 height width"]:
    """Return an RGB image's bytes as (3, height, width), uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header; refuse what is no image, has no pixels or too many."""
    Image.init()
    formats = [known for known in _FORMATS if known in Image.OPEN]
    too_many = f"{name} claims too many pixels (more than {MAX_PIXELS:,}); scale it down first"
    try:
        image = Image.open(BytesIO(data), formats=formats)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(too_many) from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{name} is not an image that can be read; {_READABLE}") from error
    except _DECODING_ERRORS as error:
        raise InputError(f"{name} is damaged ({_one_line(error)}); get the file again") from error
    if min(image.size) == 0:
        raise InputError(f"{name} has no pixels ({image.width}×{image.height}); {_READABLE}")
    # Pillow's own limit is a global that another library may have switched off.
    if image.width * image.height > MAX_PIXELS:
        raise InputError(too_many)
    # An MPO is a phone's JPEG with a preview behind it.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        logging.getLogger("regard").warning("%s has %d frames; the first is used", name, frames)
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DECODING_ERRORS:
        return image  # damaged metadata is no reason to refuse an image


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _from_deep_grey(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image, name: str) -> Image.Image:
    """Scale grey of more than 8 bits; Pillow's own conversion would clip it to white."""
    values = np.asarray(image)
    full = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= full):
        raise InputError(
            f"{name} has values from {values.min()} to {values.max()}, not 0 to {full}; "
            "which of them is white is unknown: convert it to 8 bits first"
        )
    grey = np.round(values * (255 / full)).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
