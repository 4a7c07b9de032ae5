"""Attention laid over a photograph: where it is uniform, the photograph is left bare."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regard.core.errors import InputError
from regard.show.blending import blend, resized_map
from regard.show.colour import Scale, palette, times_uniform

_PEAK = 16.0
"""Where the overlay's scale ends at the latest: what is beyond is seen anyway."""


def overlay_scale(keys: int) -> Scale:
    """Return the scale of overlays for attention over `keys` keys: it depends on nothing else."""
    return Scale("uniform", min(times_uniform(keys).peak, _PEAK))


def overlay(
    picture: NDArray[np.uint8], weights: NDArray[np.floating], scale: Scale
) -> NDArray[np.uint8]:
    """Blend a map of attention over a picture in grey, cell by cell.

    Opacity follows how far a weight is from uniform, so that a map which says nothing shows the
    grey picture and nothing else.

    Args:
        picture: (height, width, 3), RGB bytes.
        weights: (row, col), as multiples of uniform.
        scale: from `overlay_scale`.

    Returns:
        (height, width, 3), RGB bytes.

    """
    height, width = picture.shape[:2]
    rows, cols = weights.shape
    if rows > height or cols > width:
        raise InputError(
            f"a map of {rows}×{cols} cells does not fit a picture of {height}×{width} pixels"
        )
    return blend(picture, resized_map(weights, (height, width), smooth=False), scale)


def heads_figure(
    picture: NDArray[np.uint8], weights: NDArray[np.floating], *, keys: int, title: str
) -> Figure:
    """Draw a picture, the mean of all heads over it, and each head, on one common scale.

    Args:
        picture: (height, width, 3), RGB bytes.
        weights: (head, row, col), one query's attention; each head sums to at most 1.
        keys: how many keys the attention is over, cells and prefix tokens: uniform is 1 / keys.
        title: above the figure.

    """
    scale = overlay_scale(keys)
    relative = weights * keys
    panels: list[tuple[str, NDArray[np.uint8]]] = [
        ("photograph", picture),
        ("mean of the heads", overlay(picture, relative.mean(0), scale)),
    ]
    panels += [
        (f"head {index + 1}", overlay(picture, head, scale)) for index, head in enumerate(relative)
    ]
    columns = 4
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.75 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, panel) in zip(axes.flat, panels, strict=False):
        axis.imshow(panel)
        axis.set_title(name, fontsize=10)
    figure.suptitle(title, fontsize=12)
    _colour_bar(figure, scale, list(axes.flat))
    return figure


def concentration(weights: NDArray[np.floating], *, keys: int) -> dict[str, Any]:
    """Say in numbers where a map of attention is.

    Args:
        weights: (row, col), one query's attention to the cells.
        keys: how many keys the attention is over.

    Returns:
        `strongest_cell` (row, col); its weight as `times_uniform`; `area_of_half`, the share of
        the cells that hold half of the map, fewest first; `on_image`, the share of the attention
        that goes to cells and not to prefix tokens.

    """
    row, col = np.unravel_index(int(weights.argmax()), weights.shape)
    largest_first = np.sort(weights, axis=None)[::-1].cumsum()
    cells = int(np.searchsorted(largest_first, largest_first[-1] / 2)) + 1
    return {
        "strongest_cell": [int(row), int(col)],
        "times_uniform": float(weights.max() * keys),
        "area_of_half": cells / weights.size,
        "on_image": float(weights.sum()),
    }


def _colour_bar(figure: Figure, scale: Scale, axes: Sequence[Axes]) -> None:
    colours = ListedColormap(palette(scale.kind, 257))
    mapping = ScalarMappable(cmap=colours)
    mapping.set_clim(0, 1)
    bar = figure.colorbar(
        mapping, ax=list(axes), orientation="horizontal", fraction=0.04, pad=0.02, aspect=50
    )
    places, labels = zip(*scale.ticks(), strict=True)
    bar.set_ticks(places, labels=labels)
    bar.set_label("attention as a multiple of uniform; 1× leaves the photograph grey")
