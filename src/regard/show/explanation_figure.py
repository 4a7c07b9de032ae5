"""Explanations as matplotlib figures, for papers and slides: `.png`, `.pdf`, `.svg`.

Drawn on matplotlib's `Figure` objects: pyplot's global state, which belongs to the user, is never
touched.
"""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from regard.core.errors import InputError
from regard.core.explanation import Explanation
from regard.show.blending import drawn_size, resized_picture
from regard.show.colour import Scale, palette
from regard.show.explanation_overlay import (
    Contour,
    contour_levels,
    overlaid,
    scale_of,
    unit_of,
    with_target,
)
from regard.show.lettering import font, lines
from regard.show.verdict_mark import COLOURS, mark_of

_LEAST = 384
_INK = "#1d2126"
_QUIET = "#5b636d"
# In inches.
_PANEL, _MARGIN, _LINE = 3.2, 0.12, 0.17
_POINTS = 72
# Letters on a raster are rounded to whole pixels, and a line may be longer than it is measured.
_ROUNDED = 0.92


def figure(
    explanation: Explanation,
    *,
    smooth: bool = True,
    contour: Contour = False,
    cells: bool = False,
) -> Figure:
    """Draw a picture, the map over it, and its colour bar.

    Args:
        explanation: what is drawn.
        smooth: interpolate between the map's cells; False shows them as they are.
        contour: lines on the overlay; see `overlaid`.
        cells: the exact map in its own resolution beside the overlay.

    """
    scale = scale_of(explanation)
    size = _size(explanation)
    over = overlaid(
        explanation, smooth=smooth, contour=contour, size=max(size), scale=scale, verdict=False
    )
    rows, cols = explanation.values.shape
    panels = [
        (_saw(explanation), with_target(resized_picture(explanation.picture, size), explanation)),
        (_over(explanation, contour), over),
    ]
    if cells:
        panels.append((f"the map itself, {rows} × {cols}", scale.colours(explanation.relative)))
    height, width = explanation.picture.shape[:2]
    tall = _PANEL * min(2.0, max(0.4, height / width))
    wide = _PANEL * len(panels) + 0.3
    below = _below(explanation, wide - 2 * _MARGIN)
    foot = _LINE * len(below) + 2 * _MARGIN
    drawn = Figure(figsize=(wide, tall + 1.35 + foot))
    share = foot / drawn.get_figheight()
    drawn.set_layout_engine("constrained", rect=(0, share, 1, 1 - share))
    axes = drawn.subplots(1, len(panels), squeeze=False)[0]
    for place, (name, panel) in zip(axes, panels, strict=True):
        _show(place, panel, height / width)
        place.set_title(name, fontsize=9, color=_QUIET)
    characters = 26 * len(panels)
    drawn.suptitle(_wrapped(heading(explanation), characters), fontsize=11, color=_INK)
    _write_below(drawn, below, foot - _MARGIN)
    _colour_bar(drawn, scale, list(axes), unit_of(explanation))
    return _plain_words(drawn)


def grid_figure(
    explanations: Sequence[Sequence[Explanation]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    smooth: bool = True,
    contour: Contour = False,
    title: str = "",
) -> Figure:
    """Draw explanations side by side: methods × classes, layers × heads.

    What has one unit has one scale: all distributions, and of the others the maps of one method at
    one site. Numbers of different methods mean different things, so that a scale in common would
    only show which of them are large.

    Args:
        explanations: row by row.
        row_names: one a row.
        column_names: one a column.
        smooth: interpolate between a map's cells; False shows them as they are.
        contour: lines on the overlays; see `overlaid`.
        title: above the figure.

    Raises:
        InputError: the rows are not equally long, or the names are not as many.

    """
    rows, columns = len(row_names), len(column_names)
    if not rows or not columns or [len(row) for row in explanations] != [columns] * rows:
        raise InputError(
            f"a grid has a name for each row and each column; got rows of "
            f"{[len(row) for row in explanations]} explanations, {rows} row names and {columns} "
            "column names"
        )
    height, width = explanations[0][0].picture.shape[:2]
    side = 1.9
    drawn = Figure(
        figsize=(side * columns + 1.3, side * (height / width + 0.18) * rows + 1.1),
        layout="constrained",
    )
    axes = drawn.subplots(rows, columns, squeeze=False)
    scales = _scales([e for row in explanations for e in row])
    for row, line in enumerate(explanations):
        for col, found in enumerate(line):
            size, scale = max(_size(found)), scales[_unit(found)]
            over = overlaid(
                found, smooth=smooth, contour=contour, size=size, scale=scale, verdict=False
            )
            _show(axes[row, col], over, found.picture.shape[0] / found.picture.shape[1])
            said = f"{mark_of(found.verdict)}\n{_largest(found)}"
            axes[row, col].set_xlabel(said, fontsize=7, color=_INK, labelpad=2, linespacing=1.3)
    for place, name in zip(axes[0], column_names, strict=True):
        place.set_title(_wrapped(name, 22), fontsize=9, color=_INK)
    for place, name in zip(axes[:, 0], row_names, strict=True):
        place.set_ylabel(_wrapped(name, 20), fontsize=9, color=_INK)
    if title:
        drawn.suptitle(_wrapped(title, 16 * columns), fontsize=11, color=_INK)
    _colour_bars(drawn, axes, explanations, scales)
    return _plain_words(drawn)


def heading(explanation: Explanation) -> str:
    """Return what is above a picture: prediction, target and method, in two lines."""
    asked = f"{explanation.method} for “{explanation.target}”"
    if not explanation.prediction:
        return f"{explanation.model}\n{asked}"
    name, probability = explanation.prediction[0]
    return f"predicted: {name} ({percent(probability)})\n{asked}"


def footing(explanation: Explanation) -> str:
    """Return where a map comes from, which stands at a figure's foot."""
    parts = [explanation.model]
    if explanation.site:
        first, *others = explanation.site
        parts.append(f"site {first}" + (f" and {len(others)} more" if others else ""))
    parts.append(f"{explanation.provenance} tensors")
    return " · ".join(parts)


def percent(probability: float) -> str:
    """Return a probability as a percentage that is 0 or 100 only where it is."""
    if 0 < probability < 0.001:
        return "< 0.1 %"
    if 0.999 < probability < 1:
        return "> 99.9 %"
    return f"{100 * probability:.1f} %"


def _below(explanation: Explanation, wide: float) -> list[tuple[str, dict[str, Any]]]:
    """Return the lines at a figure's foot, so many inches wide: the verdict, and the origin."""
    verdict, mark = explanation.verdict, mark_of(explanation.verdict)
    reason = "" if verdict is None else verdict.reason
    return [
        (str(mark), {"fontsize": 10, "fontweight": "bold", "color": COLOURS[mark.tone]}),
        *((line, {"fontsize": 9, "color": _INK}) for line in _fitting(reason, 9, wide)),
        *((line, {"fontsize": 8, "color": _QUIET})
          for line in _fitting(footing(explanation), 8, wide)),
    ]  # fmt: skip


def _fitting(words: str, size: int, wide: float) -> list[str]:
    """Return words in lines of so many inches at most, about equally long.

    Letters have so many points.
    """
    letters = font(size)
    widths = [wide * _ROUNDED * _POINTS * share / 20 for share in range(20, 9, -1)]
    wrapped = [lines(words, width, letters) for width in widths]
    return [found for found in wrapped if len(found) == len(wrapped[0])][-1]


def _write_below(drawn: Figure, below: Sequence[tuple[str, dict[str, Any]]], top: float) -> None:
    """Write lines centred below each other, from so many inches above a figure's lower edge on."""
    for row, (line, style) in enumerate(below):
        height = (top - (row + 0.5) * _LINE) / drawn.get_figheight()
        drawn.text(0.5, height, line, ha="center", va="center", **style)


def _unit(explanation: Explanation) -> tuple[object, ...]:
    """Return what tells whose values can be compared with this map's."""
    if explanation.kind == "distribution":
        return ("distribution",)
    return (explanation.kind, explanation.model, explanation.method, explanation.site)


def _scales(explanations: Sequence[Explanation]) -> dict[tuple[object, ...], Scale]:
    units = dict.fromkeys(map(_unit, explanations))
    return {unit: scale_of(*(e for e in explanations if _unit(e) == unit)) for unit in units}


def _colour_bars(
    drawn: Figure,
    axes: np.ndarray,
    explanations: Sequence[Sequence[Explanation]],
    scales: dict[tuple[object, ...], Scale],
) -> None:
    """Draw one bar for all, or else one a row, a column or a picture: the fewest that are true."""
    rows, columns = axes.shape
    whole = [[(r, c) for r in range(rows) for c in range(columns)]]
    by_row = [[(r, c) for c in range(columns)] for r in range(rows)]
    by_column = [[(r, c) for r in range(rows)] for c in range(columns)]
    single = [[place] for place in whole[0]]
    for parts in (whole, by_row, by_column, single):
        if all(len({_unit(explanations[r][c]) for r, c in part}) == 1 for part in parts):
            break
    for part in parts:
        first = explanations[part[0][0]][part[0][1]]
        upright = parts is by_row
        _colour_bar(
            drawn, scales[_unit(first)], [axes[place] for place in part],
            _short_unit(first) if upright else unit_of(first), upright=upright,
        )  # fmt: skip


def _colour_bar(
    drawn: Figure, scale: Scale, axes: list[Axes], unit: str, *, upright: bool = False
) -> None:
    mapping = ScalarMappable(cmap=ListedColormap(palette(scale.kind, 257)))
    mapping.set_clim(0, 1)
    bar = drawn.colorbar(
        mapping, ax=axes, orientation="vertical" if upright else "horizontal",
        fraction=0.05, pad=0.02, aspect=20 if upright else 40,
    )  # fmt: skip
    places, labels = zip(*scale.ticks(), strict=True)
    bar.set_ticks(places, labels=labels, fontsize=8)
    bar.outline.set_visible(False)
    bar.set_label(unit, fontsize=8, color=_QUIET)


def _show(place: Axes, panel: np.ndarray, ratio: float) -> None:
    rows, cols = panel.shape[:2]
    place.imshow(panel, interpolation="antialiased", aspect=ratio * cols / rows)
    place.set_xticks([])
    place.set_yticks([])
    place.spines[:].set_visible(False)


def _size(explanation: Explanation) -> tuple[int, int]:
    return drawn_size(explanation.picture, None, least=_LEAST)


def _largest(explanation: Explanation) -> str:
    sign = "±" if explanation.kind == "signed" else "≤ "
    unit = "× uniform" if explanation.kind == "distribution" else ""
    return f"{sign}{np.abs(explanation.relative).max():.3g}{unit}"


def _short_unit(explanation: Explanation) -> str:
    return "× uniform" if explanation.kind == "distribution" else "relevance"


def _saw(explanation: Explanation) -> str:
    around = "" if explanation.outline is None else "; line: what is explained"
    return f"what the model saw{around}"


def _over(explanation: Explanation, contour: Contour) -> str:
    levels = ", ".join(f"{level:.3g}" for level in contour_levels(explanation, contour))
    sign = "±" if explanation.kind == "signed" else ""
    times = "×" if explanation.kind == "distribution" else ""
    return f"the map over it; line at {sign}{levels}{times}" if levels else "the map over it"


def _wrapped(words: str, width: int) -> str:
    lines = [
        textwrap.wrap(" ".join(_broken(word, width) for word in line.split(" ")), width)
        for line in words.splitlines()
    ]
    return "\n".join(line for wrapped in lines for line in wrapped)


def _broken(word: str, width: int) -> str:
    """Return a name that is longer than a line with spaces where it is best broken."""
    lines = [""]
    for piece in re.findall(r"[^._/:]*[._/:]+|[^._/:]+", word):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return " ".join(lines)


def _plain_words(drawn: Figure) -> Figure:
    """Take labels for what they say: a dollar sign in one starts no formula."""
    for text in drawn.findobj(Text):
        if isinstance(text, Text):
            text.set_parse_math(False)
    return drawn
