"""The walk as one HTML page that needs no network: modules, styles and data are inside."""

import os
from pathlib import Path
from typing import Any

from regard.core.errors import InputError
from regard.core.files import write_text
from regard.core.pipeline import OF_WHAT, Walk
from regard.show.self_contained import page
from regard.show.walk_data import data_size, page_data

LIMIT = 3_000_000
"""No page is larger than this, in bytes."""

_SPARE = 20_000

STAGES = ("features", "query, key, value", "scores", "weights", "weighted features", "prediction")


def write(walk: Walk, path: str | os.PathLike[str]) -> Path:
    """Write the page, whole or not at all, and return its path.

    Raises:
        InputError: the place cannot be written to.

    """
    write_text(path, render(walk))
    return Path(path)


def render(walk: Walk, *, limit: int = LIMIT) -> str:
    """Return the page as HTML of at most `limit` bytes.

    Raises:
        InputError: even without any site the page would be larger.

    """
    empty = page_data(walk, budget=0)
    # What every page carries besides its data; the lines on what was left out add a little.
    frame = len(_render(walk, empty).encode()) - data_size(empty) + _SPARE
    rendered = _render(walk, page_data(walk, budget=limit - frame))
    size = len(rendered.encode())
    if size > limit:
        raise InputError(
            f"the page of {walk.image} would have {size:,} bytes without any map, more than the "
            f"{limit:,} allowed; use a smaller image"
        )
    return rendered


def _render(walk: Walk, data: dict[str, Any]) -> str:
    return page(
        "walk.html.j2",
        entry="walk.js",
        styles=("walk.css",),
        data=data,
        walk=walk,
        prediction=_prediction(walk),
        of_what=OF_WHAT[walk.answer],
        stages=STAGES,
    )


def _prediction(walk: Walk) -> dict[str, str] | None:
    if walk.probabilities is None:
        return None
    best = int(walk.probabilities.argmax())
    return {"label": walk.labels[best], "share": f"{100 * walk.probabilities[best]:.1f} %"}
