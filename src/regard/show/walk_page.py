"""The walk as one HTML page that needs no network: modules, styles and data are inside."""

import base64
import json
import os
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from regard.core.errors import InputError
from regard.core.files import write_text
from regard.core.pipeline import Walk
from regard.show.walk_data import data_size, page_data
from regard.version import __version__

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
    page = _render(walk, page_data(walk, budget=limit - frame))
    size = len(page.encode())
    if size > limit:
        raise InputError(
            f"the page of {walk.image} would have {size:,} bytes without any map, more than the "
            f"{limit:,} allowed; use a smaller image"
        )
    return page


def _render(walk: Walk, data: dict[str, Any]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(_package("templates", "walk.html.j2").read_text("utf-8"))
    return template.render(
        walk=walk,
        data=data,
        json=_script(data),
        css=Markup(_package("viewer", "walk.css").read_text("utf-8")),
        import_map=_script({"imports": _modules()}),
        prediction=_prediction(walk),
        stages=STAGES,
        version=__version__,
    )


def _modules() -> dict[str, str]:
    """Return the viewer's ES modules as data URLs, by the name they are imported under."""
    return {
        entry.name: "data:text/javascript;base64," + base64.b64encode(entry.read_bytes()).decode()
        for entry in sorted(_package("viewer").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".js")
    }


def _prediction(walk: Walk) -> dict[str, str] | None:
    if walk.probabilities is None:
        return None
    best = int(walk.probabilities.argmax())
    return {"label": walk.labels[best], "percent": f"{100 * walk.probabilities[best]:.1f} %"}


def _script(value: Any) -> Markup:
    """Return JSON that is safe inside a script element, whatever a label contains."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def _package(*parts: str) -> Traversable:
    return files("regard.show").joinpath(*parts)
