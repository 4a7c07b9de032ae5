"""What capture keeps of one attention site for one forward pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.core.grid import Grid
from regard.core.operator import AttentionOperator, Query, ScoredOperator, select_queries
from regard.core.window_operator import WindowOperator

SiteKind = Literal["softmax", "linear", "sampled", "gate"]
Provenance = Literal["exact", "recomputed", "approximate"]
Mixes = Literal["tokens", "channels"]
# Rows of weights that are in memory at once while they are checked.
_ROWS = 256


class Places(NamedTuple):
    """Where the tokens of a site lie on the input.

    Attributes:
        query: where the queries lie; None if they have no places.
        key: where the keys lie; None if they have no places.
        unclear: the sides (`query`, `key`) whose tokens do see single places of the input, of which
            no lattice could be made.

    """

    query: Grid | None = None
    key: Grid | None = None
    unclear: frozenset[str] = frozenset()


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
            Sampled: one a sample, (batch, heads, query, sample).
        output: the weighted features. Softmax: (batch, heads, query, d). Gate: the features after.
        mask: added to the scores, or True where a key may be seen, broadcastable to the scores.
        scale: what the products of query and key were multiplied with.
        causal: True if query i sees only keys 0 … i, beside what `mask` says.
        locations: sampled: where the samples are that `weights` weighs, (batch, heads, query,
            sample, 2), as (row, col) in fractions of the map's height and width.

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
    locations: Tensor | None = None


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
        grids: finds where the queries and the keys lie, when asked for the first time.
        images: how many the model was given; None if that is not known. An operator with a larger
            batch has windows or frames folded into it.
        mixes: what queries and keys are: tokens, or the channels of a head, in cross-covariance
            attention; channels have no places.
        operator: the attention as (batch, heads, query, key); None for gates, which weigh
            features in place and mix no positions.

    """

    site: str
    kind: SiteKind
    tensors: SiteTensors
    provenance: Provenance
    call: int = 0
    grids: Callable[[], Places] = field(default=Places, repr=False, compare=False)
    images: int | None = None
    mixes: Mixes = "tokens"
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
    def whole_operator(self) -> AttentionOperator:
        """The attention over the whole image, also where it runs within windows.

        (images, heads, query cell, key cell) for windows that are folded into the batch; `operator`
        itself where nothing is.

        Raises:
            InputError: windows or frames are folded into the batch, and could not be placed.

        """
        operator = self.operator
        if self.images == operator.shape[0]:
            return operator
        if self.query_grid is None or self.key_grid is None:
            raise InputError(
                f"site {self.site!r} has a batch of {operator.shape[0]} for {self.images} images, "
                "and its tokens could not be placed; its operator is that of each part by itself"
            )
        folded = self.query_grid.groups > 1
        return WindowOperator(operator, self.query_grid, self.key_grid) if folded else operator

    @cached_property
    def _places(self) -> Places:
        return self.grids()

    @property
    def query_grid(self) -> Grid | None:
        """Where the queries lie on the input; None if they have no places."""
        return self._places.query

    @property
    def key_grid(self) -> Grid | None:
        """Where the keys lie on the input; None if they have no places."""
        return self._places.key

    @property
    def unclear(self) -> frozenset[str]:
        """The sides (`query`, `key`) whose tokens have places that could not be told.

        Tokens without any place (class tokens, object queries, words) are not among them.
        """
        return self._places.unclear

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
    def error(self) -> float:
        """How far weights times values are from what the model computed.

        The largest absolute difference over all entries, computed when it is asked for. Weights
        that were recomputed do not know which of them dropout dropped.

        Raises:
            InputError: the values were not kept.

        """
        tensors = self.tensors
        if tensors.value.device.type == "meta":
            raise InputError(
                f"site {self.site!r}: the values were not kept, so nothing can be verified; "
                'capture with keep="tensors"'
            )
        with torch.no_grad():
            if self.kind == "gate":
                return float((self.gate * tensors.value - tensors.output).abs().max())
            queries = self.operator.shape[2]
            blocks = (slice(start, start + _ROWS) for start in range(0, queries, _ROWS))
            return max(self._error_in(block) for block in blocks)

    def _error_in(self, block: slice) -> float:
        value, output = self.tensors.value, self.tensors.output[..., block, :]
        rows = self.operator.rows(block)
        precision = torch.promote_types(rows.dtype, value.dtype)
        mixed: Tensor = rows.to(precision) @ value.to(precision)
        return float((mixed - output.to(precision)).abs().max())

    @property
    def gate(self) -> Tensor:
        """A gate's weights, as the model multiplied them: broadcastable to `tensors.value`."""
        if self.kind != "gate" or self.tensors.weights is None:
            raise InputError(f"site {self.site!r} is of kind {self.kind!r}, not a gate")
        return self.tensors.weights
