"""An operator with its heads laid into the batch: some networks have windows there."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.operator import AttentionOperator, Query
from regard.core.rowwise import RowwiseOperator


@dataclass(frozen=True)
class HeadsInBatch(RowwiseOperator):
    """(batch, heads, query, key) as (batch × heads, 1, query, key).

    Attributes:
        inner: the operator, heads running fastest.

    """

    inner: AttentionOperator

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch × heads, 1, query, key)."""
        batch, heads, queries, keys = self.inner.shape
        return batch * heads, 1, queries, keys

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.inner.device

    def rows(self, query: Query) -> Float[Tensor, "batch 1 some key"]:
        """Return rows A[query, :]."""
        return self.inner.rows(query).flatten(0, 1)[:, None]

    def matvec(self, values: Float[Tensor, "batch 1 key d"]) -> Float[Tensor, "batch 1 query d"]:
        """Return A @ values."""
        return self.inner.matvec(self._by_heads(values)).flatten(0, 1)[:, None]

    def rmatvec(
        self, relevance: Float[Tensor, "batch 1 query d"]
    ) -> Float[Tensor, "batch 1 key d"]:
        """Return Aᵀ @ relevance."""
        return self.inner.rmatvec(self._by_heads(relevance)).flatten(0, 1)[:, None]

    def _by_heads(self, vectors: Tensor) -> Tensor:
        return vectors[:, 0].unflatten(0, self.inner.shape[:2])
