"""One attention seen while the model ran, on its way to becoming a record."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from regard.capture.held import Held
from regard.capture.layout import Layout
from regard.capture.locate import locate_map, locate_tokens
from regard.capture.modules import Running
from regard.capture.operators import DenseOperator, LinearOperator, SoftmaxOperator
from regard.core.grid import Grid
from regard.core.operator import AttentionOperator
from regard.core.record import AttentionRecord, Provenance, SiteKind, SiteTensors

Keep = Literal["tensors", "operators"]

# What the operator of a site is made of; under keep="operators" nothing else is held.
_OPERATOR_PARTS = {
    "fused": {"query", "key", "mask"},
    "weights": {"weights"},
    "kernel": {"query", "key", "normaliser"},
    "gate": {"weights"},
}


@dataclass
class Part:
    """A tensor of a site as the model had it, and how to lay it out as the record promises."""

    cell: Held
    layout: Layout | None = None

    def tensor(self) -> Tensor:
        """Return the tensor in the record's layout."""
        return self.cell.tensor if self.layout is None else self.layout(self.cell.tensor)


@dataclass
class Sighting:
    """What was seen at one site in one call.

    Attributes:
        site: name of the innermost module that was running.
        kind: of the site.
        form: what the operator is made of: `fused` (q, k and mask), `weights` (the model's own),
            `kernel` (φ(q), φ(k) and a normaliser), or none of these for a `gate`.
        provenance: of the weights.
        call: how many were seen at this site before.
        running: the modules that were running, outermost first.
        maps: (rows, cols) of the maps that the model's modules put out.
        parts: the tensors, by their names in `SiteTensors` and `normaliser`.
        scale: what the scores were multiplied with.
        causal: True if query i sees only keys 0 … i.
        turned: True if the axes of a gate's features are not in the model's usual order.

    """

    site: str
    kind: SiteKind
    form: Literal["fused", "weights", "kernel", "gate"]
    provenance: Provenance
    call: int
    running: tuple[Running, ...]
    maps: set[tuple[int, int]]
    parts: dict[str, Part]
    scale: float = 1.0
    causal: bool = False
    turned: bool = False

    def keep_only_operator(self) -> None:
        """Let go of every tensor that the operator does not need; their shapes stay known."""
        needed = _OPERATOR_PARTS[self.form]
        for name in ("value", "output"):
            self.parts[name] = _shape_only(self.parts[name])
        kept = needed | {"value", "output"}
        self.parts = {name: part for name, part in self.parts.items() if name in kept}

    def record(self) -> AttentionRecord:
        """Build the record from the tensors as they are held now."""
        tensors = {name: part.tensor() for name, part in self.parts.items()}
        normaliser = tensors.pop("normaliser", None)
        site_tensors = SiteTensors(**tensors, scale=self.scale, causal=self.causal)
        operator = self._operator(site_tensors, normaliser)
        queries, keys = self._grids(site_tensors, operator)
        return AttentionRecord(
            site=self.site,
            kind=self.kind,
            tensors=site_tensors,
            provenance=self.provenance,
            call=self.call,
            query_grid=queries,
            key_grid=keys,
            _operator=operator,
        )

    def _operator(
        self, tensors: SiteTensors, normaliser: Tensor | None
    ) -> AttentionOperator | None:
        if self.form == "weights" and tensors.weights is not None:
            return DenseOperator(tensors.weights)
        if tensors.query is None or tensors.key is None or self.form == "gate":
            return None
        if self.form == "kernel":
            return LinearOperator(tensors.query, tensors.key, normaliser, self.scale)
        return SoftmaxOperator(tensors.query, tensors.key, tensors.mask, self.scale, self.causal)

    def _grids(
        self, tensors: SiteTensors, operator: AttentionOperator | None
    ) -> tuple[Grid | None, Grid | None]:
        shapes = [running.input_shape for running in self.running]
        if operator is not None:
            batch, _, queries, keys = operator.shape
            if shapes[0] is None or batch != shapes[0][0]:
                return None, None  # windows, rows or frames, folded into the batch
            return (
                locate_tokens(queries, shapes, self.maps),
                locate_tokens(keys, shapes, self.maps),
            )
        if self.turned:
            return None, None
        grid = locate_map(tuple(tensors.value.shape), shapes, self.maps)
        return grid, grid


def _shape_only(part: Part) -> Part:
    """Return the part without its numbers: a meta tensor has a shape and a type and no memory."""
    return Part(Held(part.cell.tensor.detach().to("meta")), part.layout)


def parts_of(**cells: tuple[Held, Layout | None] | None) -> dict[str, Part]:
    """Collect the parts that exist."""
    return {name: Part(*cell) for name, cell in cells.items() if cell is not None}
