"""Colour maps that colour-blind readers can tell apart, and scales that never stretch noise.

A scale is fixed before the data is seen wherever that is possible: weights are drawn as multiples
of uniform between bounds that follow from the number of keys alone, so a row that says nothing
looks flat.
"""

import math
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

ScaleKind = Literal["uniform", "signed", "positive"]

# Blue over grey to yellow, blue over white to red, and black to cream: each keeps its order for
# every common kind of colour blindness; the first two have their neutral colour in the middle.
COLOUR_MAPS: dict[ScaleKind, str] = {"uniform": "cividis", "signed": "RdBu_r", "positive": "magma"}


@dataclass(frozen=True)
class Scale:
    """How values become colours.

    Attributes:
        kind: `uniform` (multiples of uniform, logarithmic, from 1/peak to peak, 1 in the middle),
            `signed` (-peak to peak, 0 in the middle) or `positive` (0 to peak).
        peak: the value of the last colour; values beyond it get that colour.
        ends_early: True where values do lie beyond a `signed` or `positive` scale.

    """

    kind: ScaleKind
    peak: float
    ends_early: bool = False

    def positions(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return where values fall between the first colour (0) and the last (1)."""
        if self.kind == "uniform":
            limited = np.clip(values, 1 / self.peak, self.peak)
            return 0.5 + 0.5 * np.log(limited) / math.log(self.peak)
        limited = np.clip(values / self.peak, -1.0, 1.0)
        return 0.5 + 0.5 * limited if self.kind == "signed" else np.clip(limited, 0.0, 1.0)

    def colours(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return RGB in [0, 1], (..., 3)."""
        return matplotlib.colormaps[COLOUR_MAPS[self.kind]](self.positions(values))[..., :3]

    def ticks(self) -> list[tuple[float, str]]:
        """Return (position, label) for a colour bar."""
        if self.kind == "uniform":
            peak = f"{self.peak:g}"
            return [(0.0, f"≤ 1/{peak}×"), (0.5, "1× uniform"), (1.0, f"≥ {peak}×")]
        peak = f"{self.peak:.3g}"
        low, high = (f"≤ −{peak}", f"≥ {peak}") if self.ends_early else (f"−{peak}", peak)
        if self.kind == "signed":
            return [(0.0, low), (0.5, "0"), (1.0, high)]
        return [(0.0, "0"), (1.0, high)]


def times_uniform(keys: int) -> Scale:
    """Return the scale for weights over `keys` keys, given as weight × keys.

    It ends at the power of two next to √keys (8 for 64 keys, 64 for 1,370): the bounds depend on
    the number of keys and never on the weights.
    """
    return Scale("uniform", max(2.0, 2.0 ** math.ceil(math.log2(max(keys, 1)) / 2)))


def signed(*values: NDArray[np.floating]) -> Scale:
    """Return one scale about zero for all the arrays, up to their largest absolute value."""
    return Scale("signed", _largest(values))


def positive(*values: NDArray[np.floating]) -> Scale:
    """Return one scale from zero for all the arrays, up to their largest value."""
    return Scale("positive", _largest(values))


def palette(kind: ScaleKind, count: int = 65) -> list[str]:
    """Return `count` colours of a kind as `#rrggbb`; an odd count has one in the middle."""
    colours = matplotlib.colormaps[COLOUR_MAPS[kind]](np.linspace(0.0, 1.0, count))
    return [to_hex(colour) for colour in colours]


def _largest(arrays: tuple[NDArray[np.floating], ...]) -> float:
    largest = max((float(np.abs(values).max()) for values in arrays if values.size), default=0.0)
    return largest if largest > 0 else 1.0
