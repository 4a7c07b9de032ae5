"""Pictures of how a segmenter did: IoU by class, and the images that it got most wrong."""

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from regard.core.labels import VOID
from regard.core.mask_mistake import MaskMistake

_GOLDEN = 0.618034
_SHADED = 0.55


def class_colours(classes: int) -> NDArray[np.uint8]:
    """Return a colour for each mask value, (256, 3): far apart for neighbours, void black."""
    colours = np.zeros((256, 3), np.uint8)
    for index in range(classes):
        # Hues a golden section apart never come close to those just before.
        shade = 0.95 if index % 2 == 0 else 0.7
        red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.75, shade)
        colours[index] = round(255 * red), round(255 * green), round(255 * blue)
    return colours


def iou_figure(per_class: Mapping[str, tuple[float, Sequence[float]]], mean: float) -> Figure:
    """Draw the IoU of each class with its 95 % interval, best first, and the mean as a line.

    Args:
        per_class: IoU, and lower and upper end of its interval.
        mean: the mean IoU.

    """
    ordered = sorted(per_class.items(), key=lambda entry: entry[1][0])
    names = [name for name, _ in ordered]
    values = np.array([value for _, (value, _) in ordered])
    ends = np.array([interval for _, (_, interval) in ordered], dtype=float).reshape(-1, 2)
    # An interval of a class that few draws have may leave its own value out.
    errors = np.nan_to_num(np.abs(np.stack([values - ends[:, 0], ends[:, 1] - values])))
    figure = Figure(figsize=(6, 1.2 + 0.3 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(names, values, xerr=errors, color="#5a7fb5", ecolor="#333333", capsize=2)
    axes.axvline(mean, color="#b5533c", linestyle="--", linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_xlabel("intersection over union")
    axes.set_title(f"mean IoU {mean:.2%}", fontsize=11)
    return figure


def worst_masks_figure(mistakes: Sequence[MaskMistake], labels: Sequence[str]) -> Figure:
    """Draw the worst images, a row each: the picture, the truth, the prediction, what is wrong."""
    rows = max(1, len(mistakes))
    figure = Figure(figsize=(11, 2.3 * rows + 0.8), layout="constrained")
    grid = figure.subplots(rows, 4, squeeze=False)
    for axis in grid.flatten():
        axis.axis("off")
    if not mistakes:
        grid[0, 0].text(0.5, 0.5, "no images", ha="center", va="center")
        return figure
    colours = class_colours(len(labels))
    for name, axis in zip(("picture", "truth", "prediction", "wrong pixels"), grid[0], strict=True):
        axis.set_title(name, fontsize=10)
    for row, mistake in zip(grid, mistakes, strict=True):
        wrong = (mistake.true != mistake.predicted) & (mistake.true != VOID)
        row[0].imshow(mistake.picture)
        row[1].imshow(_blended(mistake.picture, mistake.true, colours))
        row[2].imshow(_blended(mistake.picture, mistake.predicted, colours))
        row[3].imshow(wrong, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        row[0].text(
            0, -0.04, f"{mistake.title}: mean IoU {mistake.iou:.1%}, {wrong.mean():.1%} wrong",
            transform=row[0].transAxes, va="top", fontsize=8,
        )  # fmt: skip
    seen = np.unique(
        [value for m in mistakes for value in (*np.unique(m.true), *np.unique(m.predicted))]
    )
    patches = [
        Patch(
            color=tuple((colours[value] / 255).tolist()),
            label="void" if value == VOID else labels[value],
        )
        for value in seen.tolist()
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return figure


def _blended(
    picture: NDArray[np.uint8], mask: NDArray[np.uint8], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the classes' colours, shaded by how light the picture is."""
    light = picture.mean(-1, keepdims=True) / 255
    return (colours[mask] * (_SHADED + (1 - _SHADED) * light)).round().astype(np.uint8)
