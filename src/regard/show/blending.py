"""A map's colours blended over a picture in grey; where the map says nothing, the grey is bare."""

import math
from functools import lru_cache

import matplotlib
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from regard.show.colour import COLOUR_MAPS, Scale, ScaleKind

STRONGEST = 0.85
"""Opacity at the ends of a scale; some of the picture always shines through."""

_COLOURS = 513
"""How many colours a map is drawn in: an odd number, so that one is in the middle."""

_LINE = 300
"""A contour is a pixel thick, and its rim another, for so many pixels of a picture's side."""

Picture = UInt8[np.ndarray, "height width 3"]
AtPixels = Float[np.ndarray, "height width"]


def strength(scale: Scale, positions: np.ndarray) -> np.ndarray:
    """Return how much a value says, from 0 to 1, by where it falls on its scale.

    Uniform says nothing, nor does 0.
    """
    return positions if scale.kind == "positive" else np.abs(2 * positions - 1)


def blend(picture: Picture, values: AtPixels, scale: Scale) -> Picture:
    """Lay a map's colours over a picture in grey, as opaque as the map is strong.

    Args:
        picture: (height, width, 3), RGB bytes.
        values: (height, width), in the unit of `scale`.
        scale: how values become colours.

    Returns:
        (height, width, 3), RGB bytes.

    """
    colours, kept = _table(scale.kind)
    place = np.rint(scale.positions(values) * (_COLOURS - 1)).astype(np.intp)
    grey = np.array(Image.fromarray(picture).convert("L"), dtype=np.float32)
    blended = colours.take(place, axis=0) + (kept.take(place) * grey)[..., None]
    return (blended + 0.5).astype(np.uint8)


@lru_cache
def _table(kind: ScaleKind) -> tuple[np.ndarray, np.ndarray]:
    """Return each colour times its opacity, (colour, 3), and how much it leaves of the picture."""
    positions = np.linspace(0, 1, _COLOURS, dtype=np.float32)
    opacity = STRONGEST * strength(Scale(kind, 1.0), positions)
    colours = 255 * matplotlib.colormaps[COLOUR_MAPS[kind]](positions)[:, :3]
    return (colours * opacity[:, None]).astype(np.float32), (1 - opacity).astype(np.float32)


def drawn_size(picture: Picture, longer_side: int | None, *, least: int) -> tuple[int, int]:
    """Return the (height, width) that a picture is drawn at.

    Args:
        picture: (height, width, 3).
        longer_side: what the user asked for; None for the picture's own size, small ones enlarged
            by a whole number until their longer side has `least` pixels.
        least: see above.

    """
    height, width, _ = picture.shape
    longer = max(height, width)
    factor = longer_side / longer if longer_side else max(1, math.ceil(least / longer))
    return max(1, round(height * factor)), max(1, round(width * factor))


def resized_picture(
    picture: Picture, size: tuple[int, int]
) -> UInt8[np.ndarray, "drawn_height drawn_width 3"]:
    """Return a picture at another (height, width); pixels that grow stay squares."""
    if picture.shape[:2] == size:
        return picture
    grows = size[0] >= 2 * picture.shape[0]
    method = Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(picture).resize((size[1], size[0]), method))


def resized_map(
    values: Float[np.ndarray, "row col"], size: tuple[int, int], *, smooth: bool
) -> AtPixels:
    """Return a map at the (height, width) of a picture; its scale is kept.

    Args:
        values: (row, col).
        size: (height, width).
        smooth: bilinear between the cells' centres, and flat beyond the outermost; or the cells as
            they are. Where there are more cells than pixels, their mean.

    """
    (height, width), (rows, cols) = size, values.shape
    if smooth or rows > height or cols > width:
        plain = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
        return np.array(plain.resize((width, height), Image.Resampling.BILINEAR))
    row_of = np.arange(height) * rows // height
    col_of = np.arange(width) * cols // width
    return values[np.ix_(row_of, col_of)]


TARGET_COLOUR = (255, 216, 77)
"""Of the line around the box or region that is explained; in neither of the maps' palettes."""


def outlined(
    picture: Picture,
    inside: Bool[np.ndarray, "height width"],
    colour: tuple[int, int, int] = (255, 255, 255),
    *,
    closed: bool = False,
) -> Picture:
    """Draw a line with a black rim around what is inside, also over its own colours.

    Args:
        picture: RGB bytes, (height, width, 3).
        inside: True inside of the line.
        colour: of the line, RGB bytes.
        closed: draw it along the picture's own edges, too.

    """
    thick = max(1, round(max(inside.shape) / _LINE))
    line = inside & ~_worn(inside, thick, closed=closed)
    rim = (inside & ~_worn(inside, 2 * thick, closed=closed)) | (~_worn(~inside, thick) & ~inside)
    drawn = picture.copy()
    drawn[rim] = 0
    drawn[line] = colour
    return drawn


def resized_mask(
    inside: Bool[np.ndarray, "row col"], size: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """Return a mask at another (height, width), by its nearest cells."""
    (height, width), (rows, cols) = size, inside.shape
    return inside[np.ix_(np.arange(height) * rows // height, np.arange(width) * cols // width)]


def _worn(inside: np.ndarray, by: int, *, closed: bool = False) -> np.ndarray:
    """Return what is left when `by` pixels are taken off every edge; of the picture if closed."""
    for _ in range(by):
        padded = np.pad(inside, 1) if closed else np.pad(inside, 1, mode="edge")
        inside = (
            inside & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        )
    return inside
