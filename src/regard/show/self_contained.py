"""Pages that need no network: the viewer's modules, styles and data are inside."""

import base64
import io
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from regard.version import __version__

_IMPORT = re.compile(r'^import .*?from "([\w.]+)";', re.MULTILINE | re.DOTALL)


def page(template: str, *, entry: str, styles: Sequence[str], data: Any, **words: Any) -> str:
    """Return a template of `templates/` as HTML, filled.

    The template has `css`, `import_map`, `json` (the data, for a script element), `version`, and
    whatever else is given.

    Args:
        template: the file's name.
        entry: the module that the page starts.
        styles: the style sheets of `viewer/`, in their order.
        data: JSON values; `data` in the template too.
        **words: what else the template shows.

    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    source = _package("templates", template).read_text("utf-8")
    sheets = [_package("viewer", name).read_text("utf-8") for name in styles]
    return environment.from_string(source).render(
        css=Markup("\n".join(sheets)),
        import_map=script({"imports": modules(entry)}),
        json=script(data),
        data=data,
        version=__version__,
        **words,
    )


def modules(entry: str) -> dict[str, str]:
    """Return an ES module of the viewer and all that it imports, as data URLs, by their names."""
    sources: dict[str, bytes] = {}
    wanted = [entry]
    while wanted:
        name = wanted.pop()
        if name not in sources:
            sources[name] = _package("viewer", name).read_bytes()
            wanted += _IMPORT.findall(sources[name].decode("utf-8"))
    return {
        name: "data:text/javascript;base64," + base64.b64encode(sources[name]).decode()
        for name in sorted(sources)
    }


def script(value: Any) -> Markup:
    """Return JSON that is safe inside a script element, whatever a label contains."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def picture_uri(picture: NDArray[np.uint8]) -> str:
    """Return a picture as a data URI: small ones without loss, large ones as JPEG."""
    if picture.shape[0] * picture.shape[1] > 128 * 128:
        return jpeg_uri(picture, quality=80)
    return _encoded(picture, "png")


def jpeg_uri(picture: NDArray[np.uint8], *, quality: int) -> str:
    """Return a picture as a data URI, as JPEG."""
    return _encoded(picture, "jpeg", quality=quality)


def _encoded(picture: NDArray[np.uint8], form: str, **options: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return f"data:image/{form};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _package(*parts: str) -> Traversable:
    return files("regard.show").joinpath(*parts)
