"""The stages of a walk as PNG files, for a report or a slide.

Drawn on matplotlib's `Figure` objects: pyplot's global state, which belongs to the user, is never
touched.
"""

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from regard.core.files import output_folder, write_bytes
from regard.core.grid import Grid
from regard.core.pipeline import Array, GateSite, TokenSite, Walk, entropy
from regard.show.colour import Scale, palette, positive, signed, times_uniform
from regard.show.walk_data import projection, starting_query, strongest

DPI = 150
MAPS = 6
CLASSES = 5
ANSWERS = {
    "classes": "probability",
    "pixels": "share of the pixels",
    "boxes": "score of the surest box",
}
INK = "#1d2126"


def write(walk: Walk, folder: str | os.PathLike[str]) -> list[Path]:
    """Write one PNG a stage and site into `folder`, and return their paths.

    The query is the one that the page starts at: the class token, or else the middle cell.

    Raises:
        InputError: the folder cannot be written to.

    """
    folder = output_folder(folder)
    drawn = {"0-image": _image(walk)}
    for site in walk.sites:
        stages = _gate(walk, site) if isinstance(site, GateSite) else _tokens(walk, site)
        name = re.sub(r"[^\w.-]+", "-", site.name)
        drawn |= {f"{name}-{stage}": figure for stage, figure in stages.items()}
    paths = []
    for name, figure in drawn.items():
        path = folder / f"{name}.png"
        write_bytes(path, _png(figure))
        paths.append(path)
    return paths


def _tokens(walk: Walk, site: TokenSite) -> dict[str, Figure]:
    query = starting_query(site.query_grid)
    stages = _features(walk, site, site.key_grid)
    vectors = [("query", site.query), ("key", site.key), ("value", site.value)]
    seen = [(name, array) for name, array in vectors if array is not None]
    if seen:
        stages["2-query-key-value"] = _vectors(walk, site, seen)
    heads = range(min(site.shape[0], 12))
    names = [site.head_name(head) for head in heads]
    where = _token_name(site.query_grid, query)
    scores = [site.scores(head, query) for head in heads]
    known = [row for row in scores if row is not None]
    if known:
        stages["3-scores"] = _maps(
            walk,
            site.key_grid,
            known,
            names,
            signed(*map(_finite, known)),
            f"Scores of {where}",
            "score",
        )
    rows = [site.row(head, query) for head in heads]
    keys = site.shape[2]
    titles = [f"{name}: {entropy(row):.2f} nats" for name, row in zip(names, rows, strict=True)]
    stages["4-weights"] = _maps(
        walk, site.key_grid, [row * keys for row in rows], titles, times_uniform(keys),
        f"Weights of {where} and their entropy, at most {np.log(keys):.2f} nats",
        "weight × number of keys",
    )  # fmt: skip
    if site.value is not None and site.output is not None:
        channels = strongest(site.output[0].T, MAPS)
        stages["5-weighted-features"] = _before_and_after(
            walk, (site.key_grid, site.query_grid), site.value[0].T, site.output[0].T, channels,
            f"Values before and weighted features after, {names[0]}",
        )  # fmt: skip
    return stages | _prediction(walk, site)


def _gate(walk: Walk, site: GateSite) -> dict[str, Figure]:
    stages = _features(walk, site, site.grid)
    channels = strongest(site.value, MAPS)
    whole = np.broadcast_to(site.gate, site.value.shape)
    names = [f"channel {channel}" for channel in channels]
    if site.varies_over_positions:
        shown = whole[channels] if site.varies_over_channels else whole[:1]
        flat = [gate.reshape(-1) for gate in shown]
        size = flat[0].size
        uniform = site.sigma == "softmax over positions"
        scale = times_uniform(size) if uniform else _gate_scale(site)
        unit = "gate × number of positions" if uniform else "gate"
        flat = [gate * size for gate in flat] if uniform else flat
        names = names if site.varies_over_channels else ["all channels"]
        stages["4-weights"] = _maps(walk, site.grid, flat, names, scale, "Gate", unit)
    else:
        stages["4-weights"] = _bars(site)
    before, after = (x.reshape(len(x), -1) for x in (site.value, site.output))
    title = "Features before and after the gate"
    stages["5-weighted-features"] = _before_and_after(
        walk, (site.grid, site.grid), before, after, channels, title
    )
    return stages | _prediction(walk, site)


def _image(walk: Walk) -> Figure:
    figure = Figure(figsize=(4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(walk.picture, interpolation="nearest")
    _bare(axes)
    height, width, _ = walk.picture.shape
    axes.set_title(f"{walk.image}: what the model saw, {width} × {height} pixels", fontsize=9)
    return figure


def _features(walk: Walk, site: TokenSite | GateSite, grid: Grid | None) -> dict[str, Figure]:
    if site.features is None:
        return {}
    channels = strongest(site.features, 2 * MAPS)
    maps = [site.features[channel].reshape(-1) for channel in channels]
    names = [f"channel {channel}" for channel in channels]
    plain = None if grid is None else Grid(grid.rows, grid.cols)
    title = f"Strongest feature maps before {site.name}"
    return {"1-features": _maps(walk, plain, maps, names, signed(*maps), title, "feature value")}


def _vectors(walk: Walk, site: TokenSite, seen: Sequence[tuple[str, Array]]) -> Figure:
    figure = Figure(figsize=(2.6 * len(seen), 5.4), layout="constrained")
    axes = figure.subplots(2, len(seen), squeeze=False)
    for column, (name, array) in enumerate(seen):
        grid = site.query_grid if name == "query" else site.key_grid
        colours, explained = projection(array[0])
        _draw(axes[0, column], walk, _laid_out(colours / 255.0, grid))
        axes[0, column].set_title(
            f"{name}: components,\n{100 * explained:.0f} % of variance", fontsize=9
        )
        lengths = np.linalg.norm(array[0], axis=1)
        scale = positive(lengths)
        _draw(axes[1, column], walk, _laid_out(scale.colours(lengths), grid))
        axes[1, column].set_title(f"length of the {name}", fontsize=9)
        _colour_bar(figure, scale, [axes[1, column]], "")
    figure.suptitle(f"{site.name}, {site.head_name(0)}", fontsize=11, color=INK)
    return figure


def _maps(
    walk: Walk, grid: Grid | None, maps: Sequence[Array], titles: Sequence[str], scale: Scale,
    title: str, unit: str,
) -> Figure:  # fmt: skip
    columns = min(len(maps), 6)
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(max(4.5, 1.9 * columns), 2.15 * rows + 1.1), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, values, name in zip(axes, maps, titles, strict=False):
        _draw(place, walk, _laid_out(scale.colours(values), grid))
        place.set_title(name, fontsize=8)
    for place in axes[len(maps) :]:
        place.set_visible(False)
    _colour_bar(figure, scale, list(axes), unit)
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def _before_and_after(
    walk: Walk, grids: tuple[Grid | None, Grid | None], before: Array, after: Array,
    channels: np.ndarray, title: str,
) -> Figure:  # fmt: skip
    rows = [("before", before[channels], grids[0]), ("after", after[channels], grids[1])]
    if before.shape == after.shape:
        rows.append(("difference", after[channels] - before[channels], grids[1]))
    common = signed(before[channels], after[channels])
    figure = Figure(
        figsize=(1.7 * len(channels) + 0.9, 1.9 * len(rows) + 0.5), layout="constrained"
    )
    axes = figure.subplots(len(rows), len(channels), squeeze=False)
    for line, (name, maps, grid) in enumerate(rows):
        scale = signed(maps) if name == "difference" else common
        for place, values, channel in zip(axes[line], maps, channels, strict=True):
            _draw(place, walk, _laid_out(scale.colours(values), grid))
            place.set_title(f"channel {channel}" if line == 0 else "", fontsize=8)
        axes[line, 0].set_ylabel(name, fontsize=9)
        _colour_bar(figure, scale, list(axes[line]), "", vertical=True)
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def _bars(site: GateSite) -> Figure:
    gates = site.gate.reshape(-1)
    scale = _gate_scale(site)
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(gates.size), gates, width=0.9, color=scale.colours(gates))
    axes.set_ylim(min(0.0, float(gates.min())), max(1.0, float(gates.max())))
    axes.set_xlabel("channel")
    axes.set_ylabel("gate")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"Gate of {site.name}", fontsize=11, color=INK)
    return figure


def _prediction(walk: Walk, site: TokenSite | GateSite) -> dict[str, Figure]:
    if walk.probabilities is None:
        return {}
    shown = np.argsort(-walk.probabilities, kind="stable")[:CLASSES]
    figure = Figure(figsize=(6, 0.55 * len(shown) + 1.3), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))
    axes.barh(places - 0.2, walk.probabilities[shown], 0.38, color="#b35806", label="attention on")
    if site.off is not None:
        off = site.off.probabilities[shown]
        axes.barh(places + 0.2, off, 0.38, color="#8073ac", hatch="//", label="switched off")
    axes.set_yticks(places, [walk.labels[index] for index in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(ANSWERS[walk.answer])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    axes.set_title(f"{site.name}: with and without attention", fontsize=11, color=INK)
    return {"6-prediction": figure}


def _gate_scale(site: GateSite) -> Scale:
    if site.gate.min() < 0:
        return signed(site.gate)
    return Scale("positive", 1.0) if site.gate.max() <= 1 else positive(site.gate)


def _laid_out(colours: np.ndarray, grid: Grid | None) -> np.ndarray:
    """Return (row, col, 3): on the grid, or in reading order where tokens have no place."""
    if grid is not None:
        return colours[grid.prefix if len(colours) == grid.tokens else 0 :].reshape(
            grid.rows, grid.cols, 3
        )
    cols = int(np.ceil(np.sqrt(len(colours))))
    rows = -(-len(colours) // cols)
    filled = np.ones((rows * cols, 3))
    filled[: len(colours)] = colours
    return filled.reshape(rows, cols, 3)


def _draw(axes: Axes, walk: Walk, colours: np.ndarray) -> None:
    height, width = walk.picture.shape[:2]
    rows, cols = colours.shape[:2]
    axes.imshow(colours, interpolation="nearest", aspect=(height / rows) / (width / cols))
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _colour_bar(
    figure: Figure, scale: Scale, axes: list[Axes], unit: str, *, vertical: bool = False
) -> None:
    mapping = ScalarMappable(cmap=_colour_map(scale))
    mapping.set_clim(0, 1)
    orientation = "vertical" if vertical else "horizontal"
    bar = figure.colorbar(
        mapping, ax=axes, orientation=orientation, fraction=0.05, pad=0.03, aspect=30
    )
    places, labels = zip(*scale.ticks(), strict=True)
    bar.set_ticks(places, labels=labels, fontsize=8)
    bar.outline.set_visible(False)
    bar.set_label(unit, fontsize=8)


def _colour_map(scale: Scale) -> Colormap:
    return ListedColormap(palette(scale.kind, 257))


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]


def _token_name(grid: Grid | None, query: int) -> str:
    if grid is None:
        return f"token {query + 1}"
    place = grid.position(query)
    return "the class token" if place is None else f"row {place[0] + 1}, column {place[1] + 1}"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
