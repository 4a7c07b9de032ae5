"""Pages and widgets that need no network: the viewer's modules, styles and data are inside."""

import base64
import io
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from regard.version import __version__

# How modules of the viewer import and export; there is no other way in them.
_IMPORT = re.compile(r'^import \{([^}]*)\} from "([\w.]+)";', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)

# Behind these a name may be broken: what follows them is a word of its own.
_WORD_ENDS = re.compile(r"(?<=[_@(,=])")


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
    return filled(
        template,
        styles=styles,
        import_map=script({"imports": modules(entry)}),
        json=script(data),
        data=data,
        version=__version__,
        **words,
    )


def filled(template: str, *, styles: Sequence[str], **words: Any) -> str:
    """Return a template of `templates/` as HTML; it has `css`, and the words that are given.

    Args:
        template: the file's name.
        styles: the style sheets of `viewer/`, in their order.
        **words: what the template shows.

    """
    environment = Environment(
        loader=PackageLoader("regard.show"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["breakable"] = breakable
    sheets = [_viewer(name) for name in styles]
    return environment.get_template(template).render(css=Markup("\n".join(sheets)), **words)


def breakable(name: str) -> Markup:
    """Return a name such as `qk_gate(bias=True)@layer3`, to be broken between its words."""
    return Markup("<wbr>").join(_WORD_ENDS.split(name))


def modules(entry: str) -> dict[str, str]:
    """Return an ES module of the viewer and all that it imports, as data URLs, by their names."""
    return {
        name: "data:text/javascript;base64," + base64.b64encode(source.encode()).decode()
        for name, source in sorted(_sources(entry).items())
    }


def bundle(entry: str) -> str:
    """Return an ES module of the viewer and all that it imports as one module.

    For those who take no more than one, and no import map: each imported module becomes the result
    of a function, so that its own names stay its own.
    """
    sources = _sources(entry)
    parts = []
    for name, source in sources.items():
        body = _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_held(found[2])};", source)
        if name != entry:
            exported = ", ".join(found[1] for found in _EXPORT.findall(body))
            body = _EXPORT.sub(r"\1 \2", body)
            body = f"const {_held(name)} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"
        parts.append(body)
    return "\n".join(parts)


def _held(name: str) -> str:
    """Return the variable that holds what a module exports."""
    return "$" + name.removesuffix(".js")


def _sources(entry: str) -> dict[str, str]:
    """Return an ES module and all that it imports, by their names, each after what it imports."""
    sources: dict[str, str] = {}

    def add(name: str) -> None:
        source = _viewer(name)
        for _, imported in _IMPORT.findall(source):
            if imported not in sources:
                add(imported)
        sources[name] = source

    add(entry)
    return sources


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


def _viewer(name: str) -> str:
    return files("regard.show").joinpath("viewer", name).read_text("utf-8")
