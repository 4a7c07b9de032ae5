"""What capture keeps of one attention site for one forward pass."""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from regard.core.errors import InputError
from regard.core.grid import Grid
from regard.core.operator import AttentionOperator, Query, ScoredOperator, select_queries

SiteKind = Literal["softmax", "linear", "sampled", "gate"]
Provenance = Literal["exact", "recomputed", "approximate"]


@dataclass(frozen=True)
class SiteTensors:
    """The tensors that met at a site, as the model had them; None where the site has no such thing.

    Attributes:
        query: softmax: (batch, heads, query, d). Gate: the factor that asked, shaped like `value`
            where the model formed its scores from a product of two tensors.
        key: softmax: (batch, heads, key, d). Gate: likewise.
        value: what is weighted. Softmax: (batch, heads, key, d). Gate: the features before.
        scores: what went into the softmax or the gate's σ, where it was seen.
        weights: the weights themselves, where the model formed them; None under fused kernels.
        output: the weighted features. Softmax: (batch, heads, query, d). Gate: the features after.
        mask: added to the scores, or True where a key may be seen, broadcastable to the scores.
        scale: what the products of query and key were multiplied with.
        causal: True if query i sees only keys 0 … i, beside what `mask` says.

    """

    value: Tensor
    output: Tensor
    query: Tensor | None = None
    key: Tensor | None = None
    scores: Tensor | None = None
    weights: Tensor | None = None
    mask: Tensor | None = None
    scale: float = 1.0
    causal: bool = False


@dataclass(frozen=True)
class AttentionRecord:
    """One call of one attention site.

    Attributes:
        site: the module's name in the model (`blocks.11.attn`).
        kind: softmax, linear, sampled or gate.
        tensors: the tensors that met there.
        provenance: `exact` (the weights are the tensor the model used), `recomputed` (from the
            same q and k) or `approximate`.
        call: 0 for the first call of this site in the captured block, 1 for the second, …
        query_grid: where the queries lie; None if they could not be placed.
        key_grid: where the keys lie; None if they could not be placed.
        operator: the attention as (batch, heads, query, key); None for gates, which weigh
            features in place and mix no positions.

    """

    site: str
    kind: SiteKind
    tensors: SiteTensors
    provenance: Provenance
    call: int = 0
    query_grid: Grid | None = None
    key_grid: Grid | None = None
    _operator: AttentionOperator | None = field(default=None, repr=False)

    @property
    def operator(self) -> AttentionOperator:
        """The attention of this site as a linear operator, (batch, heads, query, key)."""
        if self._operator is None:
            raise InputError(
                f"site {self.site!r} is a gate: it weighs features in place and has no operator; "
                "its weights are record.gate"
            )
        return self._operator

    @property
    def grid(self) -> Grid | None:
        """Where the keys, the tokens attended to, lie on the input."""
        return self.key_grid

    def scores(self, query: Query) -> Tensor:
        """Return what went into the softmax: (batch, heads, selected queries, key).

        Raises:
            InputError: the site has no softmax, or its scores were not seen.

        """
        operator = self.operator
        if isinstance(operator, ScoredOperator):
            return operator.scores(query)
        if self.kind != "softmax" or self.tensors.scores is None:
            raise InputError(
                f"site {self.site!r} of kind {self.kind!r} has no scores that were seen; its "
                "weights are record.operator.rows(query)"
            )
        return select_queries(self.tensors.scores, query)

    @property
    def gate(self) -> Tensor:
        """A gate's weights, as the model multiplied them: broadcastable to `tensors.value`."""
        if self.kind != "gate" or self.tensors.weights is None:
            raise InputError(f"site {self.site!r} is of kind {self.kind!r}, not a gate")
        return self.tensors.weights
