"""One attention seen while the model ran, on its way to becoming a record."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from regard.capture.channels import mixed_by
from regard.capture.counting import locate_map, locate_tokens
from regard.capture.held import Held
from regard.capture.layout import Layout
from regard.capture.modules import Running
from regard.capture.operators import (
    DenseOperator,
    FlexOperator,
    LinearOperator,
    SoftmaxOperator,
)
from regard.capture.operators.flex import Modify
from regard.capture.sampling import Level, locations_of, operator_of, values_of
from regard.core.operator import AttentionOperator
from regard.core.record import (
    AttentionRecord,
    Mixes,
    Places,
    Provenance,
    SiteKind,
    SiteTensors,
)

Keep = Literal["tensors", "operators"]

# What the operator of a site is made of; under keep="operators" nothing else is held.
_OPERATOR_PARTS = {
    "fused": {"query", "key", "mask"},
    "weights": {"weights"},
    "kernel": {"query", "key", "normaliser"},
    "gate": {"weights"},
    "sampled": {"weights"},
    "flex": {"query", "key"},
}


def counted(sighting: "Sighting", expected: Places) -> Places:
    """Take where tokens lie from their number alone."""
    return expected


Locate = Callable[["Sighting", Places], Places]
"""Where the tokens of a sighting lie, given what their number suggests."""


@dataclass
class Part:
    """A tensor of a site as the model had it, and how to lay it out as the record promises."""

    cell: Held
    layout: Layout | None = None

    def tensor(self) -> Tensor:
        """Return the tensor in the record's layout."""
        return self.laid_out(self.cell.tensor)

    def laid_out(self, tensor: Tensor) -> Tensor:
        """Return a tensor that is shaped like the model's own, in the record's layout."""
        return tensor if self.layout is None else self.layout(tensor)


@dataclass(frozen=True)
class HeldLevel:
    """One map that samples were taken of, on its way to becoming a `Level`."""

    features: Held
    places: Held
    mode: str
    padding: str
    align_corners: bool

    def level(self) -> Level:
        """Return the map and the places as they are held now."""
        return Level(
            self.features.tensor, self.places.tensor, self.mode, self.padding, self.align_corners
        )

    def without_features(self) -> "HeldLevel":
        """Return the level without the numbers of its map."""
        return replace(self, features=Held(_shape_of(self.features.tensor)))


@dataclass
class Sighting:
    """What was seen at one site in one call.

    Attributes:
        site: name of the innermost module that was running.
        kind: of the site.
        form: what the operator is made of: `fused` (q, k and mask), `weights` (the model's own),
            `kernel` (φ(q), φ(k) and a normaliser), `sampled` (weights, and where of which maps),
            `flex` (q, k and functions of the scores), or none of these for a `gate`.
        provenance: of the weights.
        call: how many were seen at this site before.
        running: the modules that were running, outermost first.
        maps: (rows, cols) of the maps that the model's modules put out.
        parts: the tensors, by their names in `SiteTensors` and `normaliser`.
        scale: what the scores were multiplied with.
        causal: True if query i sees only keys 0 … i.
        turned: True if the axes of a gate's features are not in the model's usual order.
        levels: the maps that samples were taken of.
        functions: what changes the scores, and what says which keys may be seen.

    """

    site: str
    kind: SiteKind
    form: Literal["fused", "weights", "kernel", "gate", "sampled", "flex"]
    provenance: Provenance
    call: int
    running: tuple[Running, ...]
    maps: set[tuple[int, int]]
    parts: dict[str, Part]
    scale: float = 1.0
    causal: bool = False
    turned: bool = False
    levels: tuple[HeldLevel, ...] = ()
    functions: tuple[Modify, Modify] | None = None

    def keep_only_operator(self) -> None:
        """Let go of every tensor that the operator does not need; their shapes stay known."""
        needed = _OPERATOR_PARTS[self.form]
        self.levels = tuple(level.without_features() for level in self.levels)
        for name in {"value", "output"} & self.parts.keys():
            self.parts[name] = _shape_only(self.parts[name])
        kept = needed | {"value", "output"}
        self.parts = {name: part for name, part in self.parts.items() if name in kept}
        self.parts |= _apart({n: self.parts[n] for n in ("query", "key") if n in self.parts})

    def record(self, locate: Locate = counted) -> AttentionRecord:
        """Build the record from the tensors as they are held now.

        Args:
            locate: tells where the tokens lie, when the record is asked.

        """
        tensors = {name: part.tensor() for name, part in self.parts.items()}
        normaliser = tensors.pop("normaliser", None)
        levels = [level.level() for level in self.levels]
        if levels:
            heads = tensors["weights"].shape[1]
            tensors["value"] = values_of(levels, heads)
            tensors["locations"] = locations_of(levels, heads)
        site_tensors = SiteTensors(**tensors, scale=self.scale, causal=self.causal)
        operator = self._operator(site_tensors, normaliser, levels)
        return AttentionRecord(
            site=self.site,
            kind=self.kind,
            tensors=site_tensors,
            provenance=self.provenance,
            call=self.call,
            grids=partial(self._grids, site_tensors, operator, locate),
            images=self._images(),
            mixes=self._mixes(site_tensors.value),
            _operator=operator,
        )

    def _mixes(self, value: Tensor) -> Mixes:
        if self.form not in ("fused", "weights", "flex"):
            return "tokens"
        return mixed_by(value, self.running[-1].input_shape)

    def _images(self) -> int | None:
        shape = self.running[0].input_shape
        return shape[0] if shape is not None and len(shape) > 1 else None

    def _operator(
        self, tensors: SiteTensors, normaliser: Tensor | None, levels: Sequence[Level]
    ) -> AttentionOperator | None:
        if levels and tensors.weights is not None:
            return operator_of(levels, tensors.weights)
        if self.form == "weights" and tensors.weights is not None:
            return DenseOperator(tensors.weights)
        if tensors.query is None or tensors.key is None or self.form == "gate":
            return None
        if self.form == "kernel":
            return LinearOperator(tensors.query, tensors.key, normaliser, self.scale)
        if self.functions is not None:
            return FlexOperator(tensors.query, tensors.key, *self.functions, self.scale)
        return SoftmaxOperator(tensors.query, tensors.key, tensors.mask, self.scale, self.causal)

    def _grids(
        self, tensors: SiteTensors, operator: AttentionOperator | None, locate: Locate
    ) -> Places:
        shapes = [running.input_shape for running in self.running]
        if operator is None:
            gated = None if self.turned else tuple(tensors.value.shape)
            grid = None if gated is None else locate_map(gated, shapes, self.maps)
            return Places(grid, grid)
        if len(self.levels) > 1:
            # Several grids, one after the other.
            return Places(unclear=frozenset({"query", "key"}))
        if self._mixes(tensors.value) == "channels":
            return Places()
        batch, heads, queries, keys = operator.shape
        expected = Places()
        if shapes[0] is not None and batch == shapes[0][0]:
            expected = Places(
                locate_tokens(queries, shapes, self.maps),
                locate_tokens(keys, shapes, self.maps),
            )
        found = locate(self, expected)
        # In training a model may take another way than the one that was looked at.
        sides = (("query", found.query, queries), ("key", found.key, keys))
        other = {side for side, grid, n in sides if grid and not grid.fits(batch, heads, n)}
        return Places(
            None if "query" in other else found.query,
            None if "key" in other else found.key,
            found.unclear | other,
        )


def _apart(parts: dict[str, Part]) -> dict[str, Part]:
    """Copy tensors out of memory that they share with others, as with the values in one layer.

    Where gradients flow nothing is copied: it is the model's own tensors they flow through.
    """
    used: defaultdict[int, int] = defaultdict(int)
    for part in parts.values():
        used[_address(part)] += part.cell.tensor.nbytes
    return {
        name: Part(Held(part.cell.tensor.clone()), part.layout)
        if not part.cell.tensor.requires_grad
        and part.cell.tensor.untyped_storage().nbytes() > used[_address(part)]
        else part
        for name, part in parts.items()
    }


def _address(part: Part) -> int:
    return part.cell.tensor.untyped_storage().data_ptr()


def _shape_only(part: Part) -> Part:
    """Return the part without its numbers: a meta tensor has a shape and a type and no memory."""
    return Part(Held(_shape_of(part.cell.tensor)), part.layout)


def _shape_of(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def parts_of(**cells: tuple[Held, Layout | None] | None) -> dict[str, Part]:
    """Collect the parts that exist."""
    return {name: Part(*cell) for name, cell in cells.items() if cell is not None}
