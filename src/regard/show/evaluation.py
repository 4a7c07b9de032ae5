"""Pictures of how a classifier did: its confusion matrix and its worst mistakes."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regard.core.files import atomic_write
from regard.core.mistake import Mistake

_NUMBERS_UP_TO = 20
"""With more classes than this the cells are too small for numbers."""


def confusion_figure(confusion: NDArray[np.int64], labels: Sequence[str]) -> Figure:
    """Draw a confusion matrix, each row as shares of its true class.

    Args:
        confusion: (true class, predicted class), counts.
        labels: the class names.

    """
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = 2.5 + 0.42 * min(len(labels), 30)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(labels) <= _NUMBERS_UP_TO:
        for (row, col), share in np.ndenumerate(shares):
            shade = "black" if share > 0.5 else "white"
            if confusion[row, col]:
                axes.text(
                    col, row, f"{share:.0%}", ha="center", va="center", color=shade, fontsize=7
                )
    total = int(confusion.sum())
    axes.set_title(f"accuracy {np.trace(confusion) / total:.2%}, {total:,} images", fontsize=11)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the true class")
    return figure


def mistakes_figure(mistakes: Sequence[Mistake], labels: Sequence[str]) -> Figure:
    """Draw the most confident mistakes, worst first, with what was said and what is true."""
    columns = min(4, max(1, len(mistakes)))
    rows = max(1, math.ceil(len(mistakes) / columns))
    figure = Figure(figsize=(2.1 * columns, 2.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes:
        axis.axis("off")
    if not mistakes:
        axes[0].text(0.5, 0.5, "no mistakes", ha="center", va="center")
    for axis, mistake in zip(axes, mistakes, strict=False):
        axis.imshow(mistake.picture, interpolation="nearest")
        axis.set_title(
            f"{labels[mistake.predicted]} {mistake.confidence:.0%}\ntruly {labels[mistake.true]}",
            fontsize=9,
        )
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; the ending decides the format."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.lstrip("."))
