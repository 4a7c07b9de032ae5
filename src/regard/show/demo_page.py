"""The page of `regard demo`: a walk, and attention on photographs, with a few plain words."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from regard.core.files import write_text
from regard.version import __version__


def write(walked: Mapping[str, Any], photographs: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Write the page beside the walk's page and the pictures that it shows; return its path.

    Args:
        walked: `model`, `page`, `label`, `probability`, `without_attention`.
        photographs: for each `name`, `picture`, `site`, and what `concentration` returns.
        path: where to write.

    """
    source = files("regard.show").joinpath("templates", "demo.html.j2").read_text("utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    write_text(path, template.render(walked=walked, photographs=photographs, version=__version__))
    return path
