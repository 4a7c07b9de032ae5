"""How a detector did, as one HTML page: figures, curves, and the worst mistakes as pictures."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from regard.core.detection_mistake import Corners, DetectionMistake
from regard.core.errors import InputError
from regard.core.files import write_text
from regard.show.precision_recall import Curve, colour_of, curves_svg
from regard.show.self_contained import filled, jpeg_uri
from regard.version import __version__

_LEAST_SIDE = 480
"""Smaller pictures are enlarged to this many pixels, so that lines do not cover what they mark."""

_WRONG, _TRUE, _FOUND = (255, 45, 85), (255, 255, 255), (0, 208, 255)
_SHADE = (40, 44, 52)
_QUALITY = 78

_GROUPS = {
    "missed": (
        "Missed boxes",
        "a missed box",
        "True boxes that nothing found matches, at the score where precision and recall are best "
        "together: first those that nothing overlaps, and of these the largest.",
    ),
    "false": (
        "Boxes that are not there",
        "a false box",
        "Found boxes that match no true box of their class, the surest first. What looks right "
        "here may be missing from the annotations.",
    ),
}


@dataclass(frozen=True)
class _Card:
    picture: str
    width: int
    height: int
    name: str
    words: str
    alt: str


def html(
    figures: Mapping[str, Any],
    curves: Sequence[Curve],
    mistakes: Sequence[DetectionMistake],
    labels: Sequence[str],
    *,
    title: str = "Detection",
    about: str = "",
) -> str:
    """Return one self-contained page: nothing is fetched from any host.

    Args:
        figures: as `regard evaluate --json` prints them: `mAP50`, `mAP50_95`, their intervals,
            `images` and `per_class`.
        curves: precision over recall, for each class that has one.
        mistakes: the worst, those of a kind in their order.
        labels: the class names.
        title: of the page.
        about: what was measured, in words.

    Raises:
        InputError: a mistake is of a class that has no name.

    """
    highest = max((mistake.label for mistake in mistakes), default=0)
    if highest >= len(labels):
        raise InputError(f"a mistake of class {highest}, but there are {len(labels)} class names")
    return filled(
        "detection_evaluation.html.j2",
        styles=("walk.css", "detection_evaluation.css"),
        title=title,
        about=about,
        figures=[
            ("mAP50", *_figure(figures["mAP50"], figures["interval"])),
            ("mAP50-95", *_figure(figures["mAP50_95"], figures["mAP50_95_interval"])),
            ("images", f"{figures['images']:,}", ""),
        ],
        lines=[
            _line(name, figures["per_class"][name], labels)
            for name in labels
            if name in figures["per_class"]
        ],
        absent=[name for name in labels if name not in figures["per_class"]],
        curves=Markup(curves_svg(curves, labels)),
        groups=[_group(kind, mistakes, labels) for kind in _GROUPS],
        version=__version__,
    )


def write(
    figures: Mapping[str, Any],
    curves: Sequence[Curve],
    mistakes: Sequence[DetectionMistake],
    labels: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str = "Detection",
    about: str = "",
) -> Path:
    """Write the page that `html` returns, whole or not at all, and return its path.

    Raises:
        InputError: as `html`, or the place cannot be written to.

    """
    write_text(path, html(figures, curves, mistakes, labels, title=title, about=about))
    return Path(path)


def drawn(mistake: DetectionMistake) -> NDArray[np.uint8]:
    """Return the picture of a mistake with its boxes: (height, width, 3), RGB bytes.

    True boxes are white with a dark edge, found ones dashed and blue, and the one that it is about
    red and thick.
    """
    height, width = mistake.picture.shape[:2]
    grown = max(1, -(-_LEAST_SIDE // max(height, width)))
    image = Image.fromarray(mistake.picture).resize((width * grown, height * grown))
    pen = ImageDraw.Draw(image)
    for box in mistake.truth:
        _rectangle(pen, box, grown, _SHADE, 3)
        _rectangle(pen, box, grown, _TRUE, 2)
    for box in mistake.found:
        _dashed(pen, box, grown)
    _rectangle(pen, mistake.box, grown, _WRONG, 4)
    return np.asarray(image)


def _rectangle(
    pen: ImageDraw.ImageDraw, box: Corners, grown: int, colour: tuple[int, int, int], width: int
) -> None:
    left, top, right, bottom = (round(side * grown) for side in box)
    # PIL includes the end; a box without pixels is still marked.
    pen.rectangle(
        (left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=width
    )


def _dashed(pen: ImageDraw.ImageDraw, box: Corners, grown: int) -> None:
    left, top, right, bottom = (round(side * grown) for side in box)
    for at in range(left, right, 10):
        for y in (top, bottom - 1):
            pen.line((at, y, min(at + 5, right - 1), y), fill=_FOUND, width=2)
    for at in range(top, bottom, 10):
        for x in (left, right - 1):
            pen.line((x, at, x, min(at + 5, bottom - 1)), fill=_FOUND, width=2)


def _group(
    kind: str, mistakes: Sequence[DetectionMistake], labels: Sequence[str]
) -> dict[str, Any]:
    title, wrong, about = _GROUPS[kind]
    chosen = [mistake for mistake in mistakes if mistake.kind == kind]
    return {
        "title": title,
        "wrong": wrong,
        "about": about,
        "cards": [_card(mistake, labels[mistake.label]) for mistake in chosen],
    }


def _card(mistake: DetectionMistake, name: str) -> _Card:
    picture = drawn(mistake)
    alone = mistake.overlap < 0.01
    if mistake.kind == "missed":
        words = "nothing found there" if alone else f"best overlap {mistake.overlap:.2f}"
    else:
        near = "no true one there" if alone else f"best overlap {mistake.overlap:.2f}"
        words = f"score {mistake.score:.2f}, {near}"
    return _Card(
        picture=jpeg_uri(picture, quality=_QUALITY),
        width=picture.shape[1],
        height=picture.shape[0],
        name=name,
        words=words,
        alt=f"{mistake.kind} {name}: {words}",
    )


def _line(name: str, found: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "colour": colour_of(labels.index(name)),
        "boxes": f"{found['boxes']:,}",
        "cells": [
            _figure(found["AP50"], found["interval"]),
            _figure(found["AP50_95"], found["AP50_95_interval"]),
            (f"{found['precision']:.3f}", ""),
            (f"{found['recall']:.3f}", ""),
            (f"{found['best_threshold']:.2f}", ""),
        ],
    }


def _figure(value: float, interval: Sequence[float | None]) -> tuple[str, str]:
    low, high = interval
    told = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return f"{value:.3f}", told
