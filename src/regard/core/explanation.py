"""A map over the input for one target, and all that is needed to judge it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.files import atomic_write
from regard.core.grid import Grid
from regard.core.record import Provenance
from regard.core.verdict import Verdict

MapKind = Literal["distribution", "positive", "signed"]
"""What a map's numbers are: shares of 1, amounts from 0 on, or amounts for and against."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """A map over one image for one target.

    Attributes:
        values: the map as the method computed it, (row, col), at its own resolution.
        kind: `distribution` (shares of attention; uniform is 1 / `keys`), `positive` (0 says
            nothing) or `signed` (for and against the target).
        method: the name of the method.
        target: what is explained, in words.
        site: the names of the sites or of the layer that the map comes from; empty for methods
            that only see input and output.
        provenance: `exact`, `recomputed` or `approximate`, of the tensors the map was made from.
        model: what the model is called.
        picture: what the model saw, before its normalisation: RGB bytes, (height, width, 3).
        prediction: the model's likeliest classes with their probabilities, likeliest first; empty
            without a class head.
        grid: where the map's cells lie on the input; None where each is a pixel.
        keys: of a distribution, how many keys the attention was over, prefix tokens included.
        chosen: what was chosen automatically and why, one sentence each.
        verdict: the outcome of the checks, or None where none were made.
        asked: the target as the user gave it, so that the checks explain the same again.
        options: of the method, as the user gave them, the site among them.
        outline: True inside the box or region that is explained, at the size of the picture; None
            for a target of the whole image.

    """

    values: Float[np.ndarray, "row col"]
    kind: MapKind
    method: str
    target: str
    site: tuple[str, ...]
    provenance: Provenance
    model: str
    picture: UInt8[np.ndarray, "height width 3"]
    prediction: tuple[tuple[str, float], ...] = ()
    grid: Grid | None = None
    keys: int | None = None
    chosen: tuple[str, ...] = ()
    verdict: Verdict | None = None
    asked: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    outline: Bool[np.ndarray, "height width"] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not np.isfinite(self.values).all():
            raise InputError(
                f"a map is finite numbers, (row, col); {self.method} made "
                f"{tuple(self.values.shape)} of which {int((~np.isfinite(self.values)).sum())} "
                "are not finite"
            )
        if self.kind == "distribution" and self.keys is None:
            raise InputError("a distribution needs `keys`, the number that uniform is counted by")

    @cached_property
    def map(self) -> Float[np.ndarray, "height width"]:
        """The values at the size of the picture, by bilinear interpolation; the scale is kept."""
        size = self.picture.shape[:2]
        values = torch.from_numpy(np.ascontiguousarray(self.values, dtype=np.float32))[None, None]
        return F.interpolate(values, size, mode="bilinear", align_corners=False)[0, 0].numpy()

    @property
    def relative(self) -> Float[np.ndarray, "row col"]:
        """The values as they are drawn: a distribution as multiples of uniform."""
        return self.values * self.keys if self.keys is not None else self.values

    @property
    def title(self) -> str:
        """The prediction, the target and the method in a line."""
        seen = f"{self.prediction[0][0]} {self.prediction[0][1]:.0%} · " if self.prediction else ""
        return f"{seen}{self.method} for {self.target}"

    # Drawing knows of explanations and not the reverse: what draws is found when it is asked for.
    def plot(self, **options: Any) -> Any:
        """Return a matplotlib figure; see `regard.show.explanation_figure.figure`."""
        return import_module("regard.show.explanation_figure").figure(self, **options)

    def overlay(self, **options: Any) -> Any:
        """Return the map over the picture, its verdict below it, as RGB bytes.

        `verdict=False` leaves the verdict out; see `regard.show.explanation_overlay.overlaid`.
        """
        return import_module("regard.show.explanation_overlay").overlaid(self, **options)

    def to_html(self) -> str:
        """Return one self-contained page."""
        return import_module("regard.show.report").html([self])

    def widget(self) -> Any:
        """Return a widget for notebooks; see `regard.show.widget`, which takes several."""
        return import_module("regard.show.notebook").widget(self)

    def _repr_html_(self) -> str:
        return import_module("regard.show.report").snippet(self)

    def save(self, path: str | Path) -> Path:
        """Write the explanation, whole or not at all; the file's ending says how.

        `.npz` keeps the map and everything said about it (read it with `load`), `.npy` the map at
        the size of the picture, `.png`, `.pdf` and `.svg` the figure, `.html` the page.

        Raises:
            InputError: another ending, or the place cannot be written to.

        """
        path = Path(path)
        writer = _WRITERS.get(path.suffix.lower())
        if writer is None:
            raise InputError(
                f"cannot write {path}: choose an ending among {', '.join(sorted(_WRITERS))}"
            )
        with atomic_write(path) as temporary:
            writer(self, temporary)
        return path

    def summary(self) -> dict[str, Any]:
        """Return everything but the arrays, as plain values for JSON."""
        return {
            "method": self.method,
            "target": self.target,
            "model": self.model,
            "kind": self.kind,
            "site": list(self.site),
            "provenance": self.provenance,
            "prediction": [{"label": name, "probability": p} for name, p in self.prediction],
            "shape": list(self.values.shape),
            "keys": self.keys,
            "chosen": list(self.chosen),
            "verdict": None if self.verdict is None else self.verdict.summary(),
        }


def load_explanation(path: str | Path) -> Explanation:
    """Read what `Explanation.save` wrote as `.npz`; its grid is not kept.

    Raises:
        InputError: it is no such file.

    """
    try:
        with np.load(path, allow_pickle=False) as file:
            words = json.loads(str(file["summary"]))
            return Explanation(
                values=file["values"],
                picture=file["picture"],
                prediction=tuple((p["label"], p["probability"]) for p in words["prediction"]),
                site=tuple(words["site"]),
                chosen=tuple(words["chosen"]),
                verdict=words["verdict"] and Verdict.from_summary(words["verdict"]),
                asked=_asked(words["asked"]),
                options=words["options"],
                outline=dict(file).get("outline"),
                **{name: words[name] for name in _PLAIN},
            )
    except (OSError, KeyError, TypeError, ValueError, EOFError, BadZipFile, ZlibError) as error:
        raise InputError(f"{path} is no explanation that was saved as .npz ({error})") from error


_PLAIN = ("method", "target", "model", "kind", "provenance", "keys")


def _write_npz(explanation: Explanation, path: Path) -> None:
    asked, options = explanation.asked, explanation.options
    again = {
        # Other targets are tensors and functions: they have to be given again.
        "asked": asked if isinstance(asked, (int, str, tuple)) else None,
        "options": {k: v for k, v in options.items() if isinstance(v, (bool, int, float, str))},
    }
    words = json.dumps(explanation.summary() | again)
    arrays: dict[str, Any] = {"values": explanation.values, "picture": explanation.picture}
    if explanation.outline is not None:
        arrays["outline"] = explanation.outline
    np.savez_compressed(path, **arrays, summary=np.array(words))


def _asked(words: Any) -> Any:
    """Return a target as the user gave it; JSON has lists for pairs."""
    return tuple(words) if isinstance(words, list) else words


def _write_npy(explanation: Explanation, path: Path) -> None:
    np.save(path, explanation.map)


def _write_figure(explanation: Explanation, path: Path) -> None:
    explanation.plot().savefig(path, dpi=150)


def _write_page(explanation: Explanation, path: Path) -> None:
    path.write_text(explanation.to_html(), encoding="utf-8")


_WRITERS = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".html": _write_page,
    **dict.fromkeys((".png", ".pdf", ".svg"), _write_figure),
}
