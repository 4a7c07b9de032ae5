"""The forest plot of a study: what a variant gains over the plain network and its matched one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from regard.show.study_svg import (
    BLUE,
    BROWN,
    GROUND,
    INK,
    LINE,
    NARROW,
    QUIET,
    TRACK,
    WIDE,
    quiet_axes,
    settled,
    shortened,
    study_style,
    svg,
    worded,
)
from regard.show.study_words import (
    TOO_FEW,
    Difference,
    Found,
    Variant,
    difference,
    matched_of,
    number,
    plain_of,
    seed_differences,
)

EQUIVALENCE = 0.2
"""Points within which two variants are taken for equal, as in the study's equivalence test."""

# Intervals of fewer seeds are so long that nothing else could be seen: the axis may cut them off.
_LONG_BELOW = 3
_LEAST_SPAN = 0.5


@dataclass(frozen=True)
class Compared:
    """A variant against one other.

    Attributes:
        against: `plain` or `matched`.
        found: the difference, or None.
        seeds: the difference of each seed, in points.
        words: the difference in words, or why there is none.

    """

    against: str
    found: Difference | None
    seeds: list[float]
    words: str


@dataclass(frozen=True)
class Row:
    """A line of the plot; a line without comparisons is a network's heading."""

    name: str
    compared: tuple[Compared, ...]
    few: bool = False


def forest(found: Found, *, narrow: bool = False) -> str:
    """Return the plot that `figure` draws, as SVG."""
    with study_style():
        return svg(figure(found, narrow=narrow), "Differences of the variants, in points")


def figure(found: Found, *, narrow: bool = False) -> Figure:
    """Draw differences with their 95 % intervals, in percentage points.

    Variants stand in the study's order, and are not ranked. A faint dot is a seed.

    Args:
        found: the study.
        narrow: for a telephone: names and numbers above the intervals, not beside them.

    """
    with study_style():
        rows = _rows(found["variants"])
        if not any(row.compared for row in rows):
            words = "There is nothing to compare: no variant stands beside the plain network."
            return worded(words, NARROW if narrow else WIDE)
        several = any(one.against == "matched" and one.found for r in rows for one in r.compared)
        step = 0.72 if narrow else 0.44
        legend = 0.95 if narrow else 0.45
        drawn = Figure(
            figsize=(NARROW if narrow else WIDE, step * len(rows) + 0.6 + legend),
            layout="constrained",
        )
        axes = drawn.add_subplot()
        low, high = _limits(rows)
        axes.set_xlim(low, high)
        axes.set_ylim(len(rows) - 0.45, -0.6)
        quiet_axes(axes, grid="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"difference in {_metric(found)}, percentage points")
        for place, row in enumerate(rows):
            _draw_row(axes, row, place, narrow=narrow)
        (_names_above if narrow else _names_beside)(axes, rows)
        _legend(drawn, several, narrow=narrow)
        return settled(drawn)


def _rows(variants: Sequence[Variant]) -> list[Row]:
    models = list(dict.fromkeys(variant["model"] for variant in variants))
    rows = []
    for model in models:
        lines = [
            _row(variant, variants)
            for variant in variants
            if variant["model"] == model and variant["role"] != "plain"
        ]
        if lines and len(models) > 1:
            rows.append(Row(shortened(model, 40), ()))
        rows += lines
    return rows


def _row(variant: Variant, variants: Sequence[Variant]) -> Row:
    few = variant["finding"] == TOO_FEW
    name = shortened(variant["name"], 30)
    return Row(f"{name} ({TOO_FEW})" if few else name, _compared(variant, variants), few)


def _compared(variant: Variant, variants: Sequence[Variant]) -> tuple[Compared, ...]:
    pairs = [("plain", variant["against_plain"], plain_of(variant, variants))]
    if (baseline := matched_of(variant, variants)) is not None:
        pairs.append(("matched", variant["against_matched"], baseline))
    return tuple(
        Compared(
            against,
            found if found is not None and number(found["mean"]) is not None else None,
            [100 * value for value in seed_differences(variant, other)],
            difference(found) if found else f"not compared with the {against} network",
        )
        for against, found, other in pairs
    )


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the ends of the axis: every seed and every interval of three seeds or more is in."""
    places = [-_LEAST_SPAN, _LEAST_SPAN]
    for one in (one for row in rows for one in row.compared):
        places += one.seeds
        if one.found is None:
            continue
        places.append(100 * one.found["mean"])
        if one.found["n"] >= _LONG_BELOW:
            places += [100 * end for end in _ends(one.found) or ()]
    room = 0.06 * (max(places) - min(places))
    return min(places) - room, max(places) + room


def _ends(found: Difference) -> tuple[float, float] | None:
    low, high = number(found["low"]), number(found["high"])
    return None if low is None or high is None else (low, high)


def _lanes(row: Row, *, narrow: bool) -> list[float]:
    """Return how far below the middle of a row each of its comparisons lies."""
    if narrow:
        return [0.1, 0.32][: len(row.compared)]
    return [-0.19, 0.19] if len(row.compared) == 2 else [0.0] * len(row.compared)


def _draw_row(axes: Axes, row: Row, place: int, *, narrow: bool) -> None:
    if not row.compared:
        return
    # On a telephone, words stand above: nothing is drawn through them.
    top, bottom = place + (-0.02 if narrow else -0.5), place + 0.5
    band = [-EQUIVALENCE, EQUIVALENCE]
    axes.fill_between(band, top, bottom, color=TRACK, zorder=0, lw=0, gid="equivalence")
    axes.plot([0, 0], [top, bottom], color=INK, lw=0.9, zorder=1, gid="zero")
    axes.axhline(bottom, color=LINE, lw=0.7, zorder=0)
    for lane, one in zip(_lanes(row, narrow=narrow), row.compared, strict=True):
        _draw(axes, one, place + lane, few=row.few)


def _draw(axes: Axes, one: Compared, height: float, *, few: bool) -> None:
    """Draw seeds, interval and mean of a comparison; an interval that is cut off has an arrow."""
    colour = BLUE if one.against == "plain" else BROWN
    axes.scatter(
        one.seeds, [height + 0.1] * len(one.seeds), s=9, color=colour, alpha=0.35, lw=0, zorder=2,
        gid=f"{one.against}-seeds",
    )  # fmt: skip
    if one.found is None:
        return
    ends, (left, right) = _ends(one.found), axes.get_xlim()
    if ends is not None:
        low, high = (100 * end for end in ends)
        axes.plot(
            [low, high], [height] * 2, color=colour, lw=1.2 if few else 2.2, zorder=3,
            ls=(0, (2, 1.5)) if few else "-", solid_capstyle="butt", gid=f"{one.against}-interval",
        )  # fmt: skip
        for end, cut, arrow in ((left, low < left, "<"), (right, high > right, ">")):
            if cut:
                axes.plot([end], [height], arrow, color=colour, ms=5, zorder=4, clip_on=False)
    axes.plot(
        [100 * one.found["mean"]], [height], "o" if one.against == "plain" else "s", ms=6.5,
        color=colour, mfc=GROUND if few or one.against == "matched" else colour, mew=1.6,
        zorder=5, gid=f"{one.against}-mean",
    )  # fmt: skip


def _names_beside(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    for row, label in zip(rows, axes.get_yticklabels(), strict=True):
        label.set(color=INK, fontsize=9, fontweight="normal" if row.compared else "bold")
    numbers = axes.secondary_yaxis("right")
    told = [
        (place + lane, one)
        for place, row in enumerate(rows)
        for lane, one in zip(_lanes(row, narrow=False), row.compared, strict=True)
    ]
    numbers.set_yticks([height for height, _ in told], [one.words for _, one in told])
    for (_, one), label in zip(told, numbers.get_yticklabels(), strict=True):
        colour = BLUE if one.against == "plain" else BROWN
        label.set(color=colour if one.found else QUIET, fontsize=8.5)
    numbers.tick_params(length=0)
    numbers.spines["right"].set_visible(False)


def _names_above(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_yticks([])
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "zorder": 6}
    for place, row in enumerate(rows):
        if not row.compared:
            axes.text(0, place + 0.2, row.name, fontweight="bold", **style)
            continue
        axes.text(0, place - 0.38, row.name, fontsize=8.5, **style)
        for column, one in zip((0.0, 0.53), row.compared, strict=False):
            colour = BLUE if one.against == "plain" else BROWN
            axes.text(
                column, place - 0.15, one.words if one.found else "not compared", fontsize=7.5,
                color=colour if one.found else QUIET, **style,
            )  # fmt: skip


def _legend(drawn: Figure, matched: bool, *, narrow: bool) -> None:
    filled = {"marker": "o", "color": BLUE, "ms": 6.5, "lw": 2.2}
    hollow = {"marker": "s", "color": BROWN, "ms": 6.5, "lw": 2.2, "mfc": GROUND, "mew": 1.6}
    parts: list[tuple[Any, str]] = [
        (Line2D([], [], **filled), "over the plain network, 95 % interval")
    ]
    if matched:
        parts.append((Line2D([], [], **hollow), "over the matched baseline"))
    parts += [
        (Line2D([], [], marker="o", color=QUIET, alpha=0.5, ms=3, lw=0), "a seed"),
        (Patch(color=TRACK), f"within ±{EQUIVALENCE:g} points"),
    ]
    drawn.legend(
        [handle for handle, _ in parts], [words for _, words in parts], loc="outside upper left",
        ncols=1 if narrow else len(parts), borderpad=0.2, borderaxespad=0.3, labelspacing=0.3,
        columnspacing=1.4,
    )  # fmt: skip


def _metric(found: Found) -> str:
    return found["study"]["metric"]
