"""Figures of a study as SVG: the same data gives the same file, on light ground and on dark.

Letters are paths, so that a figure looks alike where the fonts are missing; the numbers stand in
the study's table too. A figure carries its own ground, and follows the reader's choice of light or
dark by a style sheet of its own: also where a page shows it as a picture. Programs that know no
style sheets show it light.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from xml.sax.saxutils import escape

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

INK, QUIET, LINE, TRACK = "#1d2126", "#5b636d", "#e3e0da", "#efece6"
GROUND = "#ffffff"
BLUE, BROWN, GREY = "#0b63a5", "#a85400", "#7b8490"
"""Blue and brown stay apart for every kind of colour blindness; shapes repeat what they say."""

WIDE, NARROW = 10.0, 3.65
"""In inches: for a screen or a paper, and for a telephone of 390 pixels."""

# The viewer's sheets have the same.
_DARK = {
    INK: "#e8e6e1",
    QUIET: "#a3a9b2",
    LINE: "#2f343b",
    TRACK: "#2b3037",
    GROUND: "#1b1e23",
    BLUE: "#74bdf0",
    BROWN: "#f0a04b",
    GREY: "#8d949d",
}

_SETTINGS = {
    "svg.hashsalt": "regard",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "figure.facecolor": GROUND,
    "axes.facecolor": GROUND,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": QUIET,
    "axes.titlecolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "font.family": ["DejaVu Sans"],
}
# What would differ between two days or two programs.
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@contextmanager
def study_style() -> Iterator[None]:
    """Draw as all figures of a study are drawn, whatever the user's own style is."""
    with matplotlib.style.context(["default", _SETTINGS]):
        yield


def svg(figure: Figure, title: str) -> str:
    """Return a figure as SVG, to be called within `study_style`.

    Args:
        figure: drawn in the colours of this module.
        title: what it shows, for those who have it read to them.

    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    drawn = buffer.getvalue()
    head, rest = drawn[drawn.index("<svg") :].split(">", 1)
    label = escape(title, {'"': "&quot;"})
    return (
        f'{head} role="img" aria-label="{label}">\n <title>{escape(title)}</title>\n'
        f" <style>{_dark_sheet()}</style>{rest}"
    )


def settled(figure: Figure) -> Figure:
    """Fix where a figure's layout has put things, rounded.

    The layout's solver is not quite the same from call to call, and names in the file follow from
    all digits.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        bounds = [round(value, 4) for value in axes.get_position().bounds]
        axes.set_position(Bbox.from_bounds(*bounds))
    return figure


def worded(words: str, wide: float = NARROW) -> Figure:
    """Return a figure that has nothing to draw and says why."""
    figure = Figure(figsize=(wide, 1.0))
    figure.text(0.5, 0.5, words, ha="center", va="center", fontsize=9, color=QUIET, wrap=True)
    return figure


def quiet_axes(axes: Axes, *, grid: str) -> None:
    """Take an axes' ticks away and give it a faint grid along `x`, `y` or `both`."""
    axes.grid(axis=grid)  # pyright: ignore[reportArgumentType]
    axes.tick_params(length=0)


def shortened(words: str, most: int) -> str:
    """Return words in at most so many characters."""
    line = " ".join(words.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _dark_sheet() -> str:
    rules = [
        f'[style*="{what}: {light}"]{{{what}:{dark} !important}}'
        for light, dark in _DARK.items()
        for what in ("fill", "stroke")
    ]
    return "@media (prefers-color-scheme: dark){" + "".join(rules) + "}"
