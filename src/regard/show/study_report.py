"""The report of a finished study: a page, the same as Markdown, its figures, and its data."""

import json
import math
import os
from pathlib import Path
from typing import Any

from regard.core.files import output_folder, write_text
from regard.show import study_page
from regard.show.study_curves import curves
from regard.show.study_forest import forest
from regard.show.study_markdown import FIGURES, markdown
from regard.show.study_pareto import pareto
from regard.show.study_words import Found


def write(found: Found, folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Write `report.html`, `report.md`, `forest.svg`, `curves.svg`, `pareto.svg`, `findings.json`.

    All are drawn before the first is written, and each is written whole or not at all. The same
    study gives the same files.

    Args:
        found: the study, as JSON values.
        folder: where to; made if it is not there.

    Returns:
        The path of each file, by its name.

    Raises:
        InputError: there is no variant, a picture is not inside the study, or the place cannot be
            written to.

    """
    place = output_folder(folder)
    texts = {
        "report.html": study_page.html(found),
        "report.md": markdown(found),
        FIGURES["forest"]: forest(found),
        FIGURES["curves"]: curves(found),
        FIGURES["pareto"]: pareto(found),
        "findings.json": json.dumps(_valid(_told(found)), ensure_ascii=False, indent=1) + "\n",
    }
    paths = {name: place / name for name in texts}
    for name, text in texts.items():
        write_text(paths[name], text)
    return paths


def _told(found: Found) -> dict[str, Any]:
    """Return the study without its pictures' pixels, which are in the page."""
    shown = [
        {
            "label": picture["label"],
            "maps": [{k: v for k, v in one.items() if k != "picture"} for one in picture["maps"]],
        }
        for picture in found.get("pictures") or ()
    ]
    return {**found, "pictures": shown}


def _valid(value: Any) -> Any:
    """Return a value as JSON can hold it: what is not finite, as after a diverged run, is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _valid(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(inner) for inner in value]
    return value
