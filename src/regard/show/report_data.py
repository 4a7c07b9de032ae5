"""What the page of explanations carries: each picture once, each map packed, and its scale."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from regard.core.errors import InputError
from regard.core.explanation import Explanation
from regard.show.blending import STRONGEST
from regard.show.colour import COLOUR_MAPS, Scale, palette
from regard.show.explanation_overlay import MANY_CELLS, scale_of, unit_of
from regard.show.packing import pack, pack_coarsely
from regard.show.self_contained import picture_uri
from regard.show.verdict_mark import MARKS


def report_data(explanations: Sequence[Explanation], names: Sequence[str]) -> dict[str, Any]:
    """Return everything that the page draws but rows of attention, as JSON values.

    Maps of one image, method and site have one scale, so that targets can be compared.

    Args:
        explanations: in the order of the menus.
        names: what the picture of each is called; empty for numbers.

    Raises:
        InputError: there is no explanation, or the names are not as many.

    """
    if not explanations:
        raise InputError("there is no explanation to show")
    if names and len(names) != len(explanations):
        raise InputError(f"got {len(names)} names for {len(explanations)} explanations")
    places = _places(explanations, names)
    units = [(place, *_unit(found)) for place, found in zip(places, explanations, strict=True)]
    scales = {
        unit: scale_of(*(e for e, own in zip(explanations, units, strict=True) if own == unit))
        for unit in dict.fromkeys(units)
    }
    firsts = {place: index for index, place in reversed(list(enumerate(places)))}
    return {
        "colours": {kind: palette(kind) for kind in COLOUR_MAPS},
        "strongest": STRONGEST,
        "marks": {mark.word: asdict(mark) for mark in MARKS.values()},
        "pictures": [
            {
                "name": names[firsts[place]] if names else f"image {place + 1}",
                "uri": picture_uri(explanations[firsts[place]].picture),
                "size": list(explanations[firsts[place]].picture.shape[:2]),
            }
            for place in range(len(firsts))
        ],
        "explanations": [
            _explanation(found, place, scales[unit])
            for found, place, unit in zip(explanations, places, units, strict=True)
        ],
    }


def pictures_in(explanations: Sequence[Explanation]) -> int:
    """Return how many different pictures explanations have."""
    return len(set(_places(explanations, ())))


def _places(explanations: Sequence[Explanation], names: Sequence[str]) -> list[int]:
    """Return which picture each explanation is of, counted in the order they come in."""
    known: dict[tuple[str, bytes, tuple[int, ...]], int] = {}
    places = []
    for index, found in enumerate(explanations):
        key = (names[index] if names else "", found.picture.tobytes(), found.picture.shape)
        places.append(known.setdefault(key, len(known)))
    return places


def _unit(found: Explanation) -> tuple[str, ...]:
    return (found.kind, found.model, found.method, *found.site)


def _explanation(found: Explanation, place: int, scale: Scale) -> dict[str, Any]:
    words = found.summary()
    del words["shape"], words["keys"]
    return words | {
        "siteName": site_name(found),
        "picture": place,
        "values": packed_map(found.relative),
        "outline": None if found.outline is None else border(found.outline),
        "scale": {"kind": scale.kind, "peak": scale.peak, "ticks": scale.ticks()},
        "unit": unit_of(found),
    }


def border(inside: Bool[np.ndarray, "height width"]) -> str:
    """Return the border of a mask as the path of an SVG, in pixels of the mask: `M3 1H7M3 4H7…`.

    Straight pieces between what is inside and what is not, the picture's own edges among them.
    """
    padded = np.pad(inside, 1)
    across = (f"M{start} {at}H{end}" for at, start, end in _runs(padded[1:] != padded[:-1]))
    down = (f"M{at} {start}V{end}" for at, start, end in _runs((padded[:, 1:] != padded[:, :-1]).T))
    return "".join((*across, *down))


def _runs(edges: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield each run of a padded table's rows as (row, start, end), without the padding."""
    steps = np.diff(edges.astype(np.int8), axis=1)
    for row, line in enumerate(steps):
        starts, ends = np.flatnonzero(line > 0), np.flatnonzero(line < 0)
        yield from ((row, int(s), int(e)) for s, e in zip(starts, ends, strict=True))


def site_name(found: Explanation) -> str:
    """Return where a map comes from in few words, however many sites there are."""
    if not found.site:
        return "input and output only"
    first, *others = found.site
    return f"{first} and {len(others)} more" if others else first


def packed_map(values: NDArray[np.floating]) -> dict[str, Any]:
    """Pack a map: in 16 bits, or in 8 where there is a value for each pixel."""
    return pack(values) if values.size <= MANY_CELLS else pack_coarsely(values)
