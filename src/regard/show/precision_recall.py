"""Curves of precision over recall as an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

_COLOURS = (
    *("#d95f02", "#1f78b4", "#1b9e77", "#e7298a", "#7570b3"),
    *("#a6761d", "#66a61e", "#17becf", "#b15928", "#8c564b"),
)
"""Readable on light and on dark ground; with more classes than these they come again."""

_WIDTH, _HEIGHT = 640, 400
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 14, 16, 50


@dataclass(frozen=True, eq=False)
class Curve:
    """One class.

    Attributes:
        label: index of the class.
        precision: at recalls spread evenly from 0 to 1.
        best: (precision, recall) that is marked, or None.

    """

    label: int
    precision: NDArray[np.float64]
    best: tuple[float, float] | None = None


def colour_of(label: int) -> str:
    """Return the colour of a class."""
    return _COLOURS[label % len(_COLOURS)]


def curves_svg(curves: Sequence[Curve], labels: Sequence[str]) -> str:
    """Return an SVG of all curves; each tells its class when the pointer rests on it."""
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Precision over recall of {escape(", ".join(labels))}">'
    ]
    for step in range(6):
        share = step / 5
        (x, _), (_, y) = _place(share, 0.0), _place(0.0, share)
        foot = _HEIGHT - _BOTTOM
        parts += [
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<line class="grid" y1="{_TOP}" y2="{foot}" x1="{x:.1f}" x2="{x:.1f}"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.1f}</text>',
            f'<text x="{x:.1f}" y="{foot + 20}" text-anchor="middle">{share:.1f}</text>',
        ]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts += [
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" '
        'text-anchor="middle">recall</text>',
        f'<text x="14" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle})">precision</text>',
    ]
    # The dots last, so that no line covers them.
    parts += [_line(curve, labels) for curve in curves]
    parts += [_dot(curve, labels) for curve in curves if curve.best is not None]
    return "\n".join([*parts, "</svg>"])


def _place(recall: float, precision: float) -> tuple[float, float]:
    return (
        _LEFT + recall * (_WIDTH - _LEFT - _RIGHT),
        _TOP + (1 - precision) * (_HEIGHT - _TOP - _BOTTOM),
    )


def _line(curve: Curve, labels: Sequence[str]) -> str:
    recalls = np.linspace(0, 1, len(curve.precision))
    # Where nothing is recalled any more the line ends, and falls.
    reached = int(np.count_nonzero(curve.precision))
    points = [
        _place(recall, precision)
        for recall, precision in zip(recalls[:reached], curve.precision[:reached], strict=True)
    ]
    if points and reached < len(recalls):
        points.append(_place(float(recalls[reached - 1]), 0.0))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline class="line" stroke="{colour_of(curve.label)}" points="{path}">'
        f"<title>{escape(labels[curve.label])}</title></polyline>"
    )


def _dot(curve: Curve, labels: Sequence[str]) -> str:
    precision, recall = curve.best or (0.0, 0.0)
    x, y = _place(recall, precision)
    return (
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour_of(curve.label)}">'
        f"<title>{escape(labels[curve.label])}: precision {precision:.3f}, "
        f"recall {recall:.3f}</title></circle>"
    )
