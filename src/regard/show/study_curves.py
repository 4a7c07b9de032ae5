"""The learning curves of a study: a panel a variant, beside the networks it is compared with."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from regard.show.study_svg import (
    BLUE,
    BROWN,
    GREY,
    NARROW,
    WIDE,
    quiet_axes,
    settled,
    shortened,
    study_style,
    svg,
    worded,
)
from regard.show.study_words import Found, Variant, matched_of, names, number, plain_of

# By role: colour, line, and how strong the band is.
_LOOKS = {
    "plain": (GREY, (0, (4, 1.6)), 0.22),
    "matched": (BROWN, (0, (1.2, 1.2)), 0.16),
    "attention": (BLUE, "-", 0.22),
}
# Where a quantity was measured, the more telling first.
_WHERE = ("validation", "train")
_SAID = {
    "plain": "the plain network",
    "matched": "its matched baseline",
    "attention": "the variant",
}


@dataclass(frozen=True)
class Curve:
    """What the seeds of a variant do, epoch by epoch: their mean, lowest and highest."""

    role: str
    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Panel:
    """The curves of a variant and of what it is compared with."""

    model: str
    name: str
    lines: list[Curve]


def curves(found: Found, *, narrow: bool = False) -> str:
    """Return the curves that `figure` draws, as SVG."""
    with study_style():
        return svg(figure(found, narrow=narrow), f"Learning curves: {caption(found)}")


def caption(found: Found) -> str:
    """Return which quantity is drawn, and what the bands are."""
    quantity = quantity_of(found)
    if quantity is None:
        return "no learning curves were kept"
    seeds = max((len(variant["curves"] or ()) for variant in found["variants"]), default=0)
    band = "mean of the seeds; the band reaches from the lowest to the highest seed"
    return f"{quantity.replace('_', ' ')}; {band if seeds > 1 else 'one seed, so there is no band'}"


def figure(found: Found, *, narrow: bool = False) -> Figure:
    """Draw a panel for each variant with attention, with its plain network and matched baseline.

    The panels of a network have one scale, that of the last two thirds of training: what came
    before may lie beyond it, so that the ends can be told apart.

    Args:
        found: the study.
        narrow: for a telephone: two panels beside each other, not four.

    """
    with study_style():
        quantity = quantity_of(found)
        networks = _networks(found, quantity) if quantity else []
        if quantity is None or not networks:
            words = "No learning curves were kept."
            return worded(words, NARROW if narrow else WIDE)
        columns = min(2 if narrow else 4, max(map(len, networks)))
        rows = [panels[at : at + columns] for panels in networks
                for at in range(0, len(panels), columns)]  # fmt: skip
        wide = NARROW if narrow else max(5.0, WIDE * columns / 4)
        tall = (1.5 if narrow else 1.9) * (1 if columns > 1 else 1.4)
        legend = 0.85 if narrow else 0.65
        drawn = Figure(figsize=(wide, tall * len(rows) + legend), layout="constrained")
        grid = drawn.subplots(len(rows), columns, squeeze=False)
        for line, panels in zip(grid, rows, strict=True):
            for axes, panel in zip(line, panels, strict=False):
                _draw(axes, shortened(panel.name, 20 if narrow else 32), panel.lines)
            for axes in line[len(panels) :]:
                axes.set_axis_off()
            line[0].set_ylabel(quantity.replace("_", " "), fontsize=8.5)
        shown = [[axes for axes in column if axes.axison] for column in grid.T]
        for column in shown:
            column[-1].set_xlabel("epochs", fontsize=8.5)
        _scale(grid, rows, networks, quantity)
        _legend(drawn, {line.role for p in networks for q in p for line in q.lines}, narrow=narrow)
        return settled(drawn)


def quantity_of(found: Found) -> str | None:
    """Return what is drawn: the metric on validation images, or else on training images.

    None where no curve was kept.
    """
    metric = found["study"]["metric"]
    kept = {
        name
        for variant in found["variants"]
        for line in variant["curves"] or ()
        for epoch in line
        for name, value in epoch.items()
        if number(value) is not None
    }
    wanted = [f"{where}_{what}" for what in (metric, "accuracy") for where in _WHERE]
    wanted += [f"{where}_loss" for where in _WHERE]
    return next((name for name in wanted if name in kept), None)


def curve(variant: Variant, quantity: str) -> Curve | None:
    """Return a variant's curve of a quantity; None where it was not kept.

    A seed that has not come as far as the others counts up to where it came.
    """
    values: dict[int, list[float]] = defaultdict(list)
    for line in variant["curves"] or ():
        for epoch in line:
            value = number(epoch.get(quantity))
            if value is not None:
                values[int(epoch["epoch"]) + 1].append(value)
    if not values:
        return None
    epochs = sorted(values)
    return Curve(
        variant["role"],
        epochs,
        [sum(values[epoch]) / len(values[epoch]) for epoch in epochs],
        [min(values[epoch]) for epoch in epochs],
        [max(values[epoch]) for epoch in epochs],
    )


def _networks(found: Found, quantity: str) -> list[list[Panel]]:
    """Return each network's panels; one without curves of attention has its others."""
    variants: Sequence[Variant] = found["variants"]
    called = dict(zip(map(id, variants), names(variants), strict=True))
    networks = []
    for model in dict.fromkeys(variant["model"] for variant in variants):
        of = [variant for variant in variants if variant["model"] == model]
        for role in ("attention", "matched", "plain"):
            shown = [v for v in of if v["role"] == role and curve(v, quantity) is not None]
            if shown:
                break
        panels = []
        for variant in shown:
            beside = [plain_of(variant, variants), matched_of(variant, variants)]
            others = [other for other in beside if other is not None and other is not variant]
            lines = [curve(one, quantity) for one in (*others, variant)]
            kept = [line for line in lines if line is not None]
            panels.append(Panel(model, called[id(variant)], kept))
        if panels:
            networks.append(panels)
    return networks


def _draw(axes: Axes, name: str, lines: Sequence[Curve]) -> None:
    for line in lines:
        colour, dashes, strength = _LOOKS[line.role]
        if line.low != line.high:
            axes.fill_between(
                line.epochs, line.low, line.high, color=colour, alpha=strength, lw=0,
                gid=f"{line.role}-band",
            )  # fmt: skip
        marker = "o" if len(line.epochs) == 1 else ""
        axes.plot(
            line.epochs, line.mean, color=colour, ls=dashes, lw=1.5, marker=marker, ms=4,
            gid=f"{line.role}-mean",
        )  # fmt: skip
    axes.set_title(name, loc="left", fontsize=8.5)
    quiet_axes(axes, grid="y")


def _scale(
    grid: NDArray[np.object_],
    rows: Sequence[Sequence[Panel]],
    networks: Sequence[Sequence[Panel]],
    quantity: str,
) -> None:
    """Give the panels of a network one scale, and write it beside the first and below the last."""
    limits = {panels[0].model: _limits([q for p in panels for q in p.lines]) for panels in networks}
    epochs = [epoch for p in networks for q in p for line in q.lines for epoch in line.epochs]
    for line, panels in zip(grid, rows, strict=True):
        for place, axes in enumerate(line[: len(panels)]):
            axes.set_ylim(limits[panels[0].model])
            axes.set_xlim(min(epochs) - 0.3, max(epochs) + 0.3)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            if not quantity.endswith("loss"):
                axes.yaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{100 * s:.4g} %"))
            axes.tick_params(labelleft=place == 0, labelbottom=bool(axes.get_xlabel()))


def _limits(lines: Sequence[Curve]) -> tuple[float, float]:
    last = max(line.epochs[-1] for line in lines)
    late = [
        (low, high)
        for line in lines
        for epoch, low, high in zip(line.epochs, line.low, line.high, strict=True)
        if epoch > last / 3
    ]
    bottom, top = min(low for low, _ in late), max(high for _, high in late)
    room = 0.05 * (top - bottom) or 0.05
    return bottom - room, top + room


def _legend(drawn: Figure, roles: set[str], *, narrow: bool) -> None:
    shown = [role for role in ("attention", "plain", "matched") if role in roles]
    drawn.legend(
        [Line2D([], [], color=_LOOKS[role][0], ls=_LOOKS[role][1], lw=1.8) for role in shown],
        [_SAID[role] for role in shown], loc="outside upper left", ncols=1 if narrow else 3,
        borderpad=0.2, borderaxespad=0.3, labelspacing=0.3, handlelength=2.4,
    )  # fmt: skip
