"""What the variants of a study reach for what they cost, and which of them no other one beats."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from regard.show.study_svg import (
    BLUE,
    BROWN,
    GROUND,
    INK,
    NARROW,
    QUIET,
    WIDE,
    quiet_axes,
    settled,
    shortened,
    study_style,
    svg,
    worded,
)
from regard.show.study_words import AXES, Found, Variant, large, number

# By role: colour, shape, and its word in the legend.
_LOOKS = {
    "plain": (QUIET, "D", "plain"),
    "attention": (BLUE, "o", "attention"),
    "matched": (BROWN, "s", "matched baseline"),
}
_RATIOS = ("latency", "training_time")
# Where a number may stand about its point: distances in points of type, and directions.
_DISTANCES = (10.0, 14.0, 20.0, 27.0, 35.0)
_DIRECTIONS = 12
# A number this far off is led to its point by a line; what is nearer than this covers another.
_LED_FROM, _CLEAR = 12.0, 10.0


def pareto(found: Found, *, narrow: bool = False) -> str:
    """Return the plot that `figure` draws, as SVG."""
    with study_style():
        title = f"{_capital(found['study']['metric'])} of the variants against what they cost"
        return svg(figure(found, narrow=narrow), title)


def figure(found: Found, *, narrow: bool = False) -> Figure:
    """Draw the metric, with its 95 % interval, against parameters, FLOPs, latency and time.

    A row of panels is a network. Numbers are those of the list beside them; filled points are on
    the front, which a line joins. What was not measured is left out, and said.

    Args:
        found: the study.
        narrow: for a telephone: panels below each other.

    """
    with study_style():
        variants: Sequence[Variant] = found["variants"]
        measured = {axis: [v for v in variants if _has(v, axis)] for axis in AXES}
        shown = [axis for axis in AXES if measured[axis]]
        models = list(dict.fromkeys(v["model"] for a in shown for v in measured[a]))
        if not shown:
            words = "Neither parameters, FLOPs nor times were measured."
            return worded(words, NARROW if narrow else WIDE)
        panels = [(model, axis) for model in models for axis in shown]
        columns = 1 if narrow else min(2, len(shown))
        rows = -(-len(panels) // columns)
        key = _key(variants, models)
        below = 0.155 * (len(key) if narrow else -(-len(key) // 3)) + 0.3
        drawn = Figure(
            figsize=(NARROW if narrow else WIDE, (2.3 if narrow else 2.7) * rows + below + 0.5),
            layout="constrained",
        )
        share = below / drawn.get_figheight()
        drawn.get_layout_engine().set(rect=(0, share, 1, 1 - share))  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
        grid = drawn.subplots(rows, columns, squeeze=False).flatten()
        for axes, (model, axis) in zip(grid, panels, strict=False):
            of = [v for v in measured[axis] if v["model"] == model]
            _draw(axes, of, axis)
            if len(models) > 1:
                axes.set_title(shortened(model, 40), loc="left")
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes in grid[: len(panels) : columns]:
            axes.set_ylabel(found["study"]["metric"])
        _legend(drawn, {v["role"] for v in variants}, narrow=narrow)
        missing = [name for axis, name in AXES.items() if axis not in shown]
        _write_key(drawn, key, below, missing, narrow=narrow)
        _number(settled(drawn), grid[: len(panels)], panels, variants, measured)
        return drawn


def _has(variant: Variant, axis: str) -> bool:
    return number(variant[axis]) is not None and number(variant["summary"]["mean"]) is not None


def _on_front(variant: Variant, axis: str) -> bool:
    return bool((variant["on_front"] or {}).get(axis))


def _draw(axes: Axes, variants: Sequence[Variant], axis: str) -> None:
    for variant in variants:
        colour, shape, _ = _LOOKS[variant["role"]]
        place, summary = variant[axis], variant["summary"]
        front = _on_front(variant, axis)
        low, high = number(summary["low"]), number(summary["high"])
        if low is not None and high is not None:
            axes.plot(
                [place] * 2, [low, high], color=colour, lw=1.1, alpha=0.55, zorder=2,
                gid="interval",
            )  # fmt: skip
        axes.plot(
            [place], [summary["mean"]], shape, color=colour, ms=6.5, mew=1.5, zorder=4,
            mfc=colour if front else GROUND, gid="front" if front else "behind",
        )  # fmt: skip
    front = sorted((v[axis], v["summary"]["mean"]) for v in variants if _on_front(v, axis))
    if len(front) > 1:
        axes.plot(
            *zip(*front, strict=True), drawstyle="steps-post", color=INK, lw=0.9,
            ls=(0, (3, 2)), zorder=1, gid="front-line",
        )  # fmt: skip
    ratio = axis in _RATIOS
    axes.set_xlabel(AXES[axis] + (", times those of the plain network" if ratio else ""))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}×" if ratio else large(value))
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(0.12, 0.1)
    quiet_axes(axes, grid="both")


def _number(
    drawn: Figure,
    grid: Iterable[Axes],
    panels: Sequence[tuple[str, str]],
    variants: Sequence[Variant],
    measured: Mapping[str, Sequence[Variant]],
) -> None:
    """Write each point's number where it covers the least; the layout must be settled."""
    numbers = {id(variant): str(place) for place, variant in enumerate(variants, start=1)}
    for axes, (model, axis) in zip(grid, panels, strict=True):
        of = [v for v in measured[axis] if v["model"] == model]
        data = np.array([(v[axis], v["summary"]["mean"]) for v in of], dtype=np.float64)
        points = axes.transData.transform(data) * 72 / drawn.dpi
        box = np.asarray(axes.get_window_extent().extents) * 72 / drawn.dpi
        places = _free_places(points, box)
        for variant, values, point, place in zip(of, data, points, places, strict=True):
            offset = place - point
            led = np.hypot(*offset) > _LED_FROM
            axes.annotate(
                numbers[id(variant)], values, offset, textcoords="offset points", ha="center",
                va="center", fontsize=7.5, color=INK, zorder=3,
                bbox={"boxstyle": "square,pad=0.1", "fc": GROUND, "ec": "none"},
                fontweight="bold" if _on_front(variant, axis) else "normal",
                arrowprops={"arrowstyle": "-", "lw": 0.5, "color": QUIET, "shrinkA": 5,
                            "shrinkB": 3} if led else None,
            )  # fmt: skip


def _free_places(
    points: NDArray[np.float64], box: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Return a place for each point's number, apart from points, from each other and in the box.

    The nearest that is free, or else the one that is least crowded; all in points of type.
    """
    turns = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    around = np.concatenate(
        [d * np.stack([np.cos(turns), np.sin(turns)], axis=1) for d in _DISTANCES]
    )
    places: list[NDArray[np.float64]] = []
    for at, point in enumerate(points):
        candidates = point + around
        # To cover another number is worse than to cover a point; its own may be near.
        crowd = _crowd(candidates, np.delete(points, at, axis=0))
        crowd += 3 * _crowd(candidates, np.reshape(places, (-1, 2)))
        outside = ((candidates < box[:2] + 4) | (candidates > box[2:] - 4)).any(1)
        # Above and below is the point's interval.
        upright = np.abs(around[:, 1]) > 0.9 * np.hypot(*around.T)
        best = int(np.argmin(np.round(crowd + 100 * outside + 4 * upright, 3)))
        places.append(candidates[best])
    return places


def _crowd(candidates: NDArray[np.float64], taken: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each candidate by how much the places already taken come too near."""
    apart = candidates[:, None] - taken
    return np.maximum(0, _CLEAR - np.hypot(apart[..., 0], apart[..., 1])).sum(1)


def _key(variants: Sequence[Variant], models: Sequence[str]) -> list[str]:
    """Return the numbers' list, each with its name."""
    several = len(models) > 1
    return [
        f"{place} {variant['model'] + ' · ' if several else ''}{variant['name']}"
        for place, variant in enumerate(variants, start=1)
    ]


def _write_key(
    drawn: Figure, key: Sequence[str], below: float, missing: Sequence[str], *, narrow: bool
) -> None:
    columns = 1 if narrow else 3
    rows = -(-len(key) // columns)
    wide, tall = drawn.get_size_inches()
    for place, line in enumerate(key):
        column, row = divmod(place, rows)
        drawn.text(
            (0.12 + column * (wide - 0.24) / columns) / wide,
            (below - 0.1 - 0.155 * (row + 0.5)) / tall,
            shortened(line, 50), fontsize=8, color=INK, va="center",
        )  # fmt: skip
    if missing:
        words = f"not measured: {', '.join(missing)}"
        drawn.text(0.12 / wide, 0.1 / tall, words, fontsize=8, color=QUIET, va="center")


def _legend(drawn: Figure, roles: set[str], *, narrow: bool) -> None:
    parts = [
        (Line2D([], [], color=colour, marker=shape, ms=6.5, mew=1.5, mfc=GROUND, lw=0), said)
        for role, (colour, shape, said) in _LOOKS.items()
        if role in roles
    ]
    parts.append(
        (Line2D([], [], color=INK, ls=(0, (3, 2)), lw=0.9, marker="o", ms=6.5),
         "filled: no other is better and cheaper")
    )  # fmt: skip
    drawn.legend(
        [handle for handle, _ in parts], [said for _, said in parts], loc="outside upper left",
        ncols=1 if narrow else len(parts), borderpad=0.2, borderaxespad=0.3, labelspacing=0.3,
    )  # fmt: skip


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
