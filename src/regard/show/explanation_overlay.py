"""An explanation over its picture, without a figure around it: fast, for many pictures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from regard.core.errors import InputError
from regard.core.explanation import Explanation
from regard.show.attention_overlay import overlay_scale
from regard.show.blending import (
    TARGET_COLOUR,
    blend,
    drawn_size,
    outlined,
    resized_map,
    resized_mask,
    resized_picture,
)
from regard.show.colour import Scale, positive, signed
from regard.show.verdict_strip import with_verdict

LEAST = 256
"""Smaller pictures are enlarged until their longer side has so many pixels."""

MANY_CELLS = 4096
"""Maps of more cells than this have a value for each pixel or so."""

_WITHIN = 0.99
"""Of a map of many cells, this share is within its scale."""

Contour = bool | float | Sequence[float]


def overlaid(
    explanation: Explanation,
    *,
    smooth: bool = True,
    contour: Contour = False,
    size: int | None = None,
    scale: Scale | None = None,
    verdict: bool = True,
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the map over the picture in grey, as RGB bytes, with the verdict in a strip below.

    A yellow line goes around the box or region that is explained, where the target is one.
    Opacity follows strength: where a map says nothing (1× uniform, or 0), the grey picture is bare.
    Nothing is stretched to its own smallest and largest value.

    Args:
        explanation: what is drawn.
        smooth: interpolate between the cells; False shows the cells as they are.
        contour: a line around what is at least half of the map's maximum; or at these levels, in
            multiples of uniform or in the map's own unit. Signed maps have it on both sides.
        size: pixels of the longer side without the strip; None for the picture's own size, small
            ones enlarged.
        scale: how values become colours, where several pictures share one; see `scale_of`.
        verdict: False leaves the strip out, for those who say the verdict beside the picture.

    Raises:
        InputError: no such size or level.

    """
    if size is not None and size < 1:
        raise InputError(f"a picture has at least 1 pixel, got size={size}")
    picture = explanation.picture
    shape = drawn_size(picture, size, least=LEAST)
    values = resized_map(explanation.relative, shape, smooth=smooth)
    drawn = blend(resized_picture(picture, shape), values, scale or scale_of(explanation))
    for level in contour_levels(explanation, contour):
        drawn = outlined(drawn, values >= level)
        if explanation.kind == "signed":
            drawn = outlined(drawn, values <= -level)
    drawn = with_target(drawn, explanation)
    return with_verdict(drawn, explanation.verdict) if verdict else drawn


def with_target(
    picture: UInt8[np.ndarray, "height width 3"], explanation: Explanation
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a line around the box or region that is explained, where there is one."""
    if explanation.outline is None:
        return picture
    inside = resized_mask(explanation.outline, picture.shape[:2])
    return outlined(picture, inside, TARGET_COLOUR, closed=True)


def scale_of(*explanations: Explanation) -> Scale:
    """Return one scale for maps of one kind.

    Of distributions it depends on the number of keys alone; of the others it goes from 0, or about
    0, to the largest value of all. Where there is a value for each pixel, a few of them are far
    larger than all others, and only they would be seen: there the scale ends at the value that
    99 % stay below, and its last colour is said to mean that and more.

    Raises:
        InputError: the maps are of different kinds, or there is none.

    """
    kinds = {explanation.kind for explanation in explanations}
    if len(kinds) != 1:
        raise InputError(f"one scale is for maps of one kind, got {sorted(kinds) or 'none'}")
    if kinds == {"distribution"}:
        return overlay_scale(max(explanation.keys or 1 for explanation in explanations))
    largest = signed if kinds == {"signed"} else positive
    scale = largest(*(explanation.values for explanation in explanations))
    if all(explanation.values.size <= MANY_CELLS for explanation in explanations):
        return scale
    most = max(float(np.quantile(np.abs(e.values), _WITHIN)) for e in explanations)
    return Scale(scale.kind, most, ends_early=True) if 0 < most < scale.peak else scale


def unit_of(explanation: Explanation) -> str:
    """Return what the numbers of a map count, for a colour bar."""
    if explanation.kind == "distribution":
        return "attention, times uniform"
    sides = " for and against" if explanation.kind == "signed" else ""
    return f"relevance{sides} ({explanation.method})"


def contour_levels(explanation: Explanation, contour: Contour) -> tuple[float, ...]:
    """Return where lines are drawn, in the unit of `Explanation.relative`.

    Raises:
        InputError: a level that is not positive.

    """
    if isinstance(contour, bool):
        largest = float(np.abs(explanation.relative).max())
        return (largest / 2,) if contour and largest > 0 else ()
    levels = (contour,) if isinstance(contour, (int, float)) else tuple(contour)
    for level in levels:
        if not level > 0:
            raise InputError(f"a contour is at a level above 0, got {level}")
    return tuple(float(level) for level in levels)
