"""Attention whose weights the model formed itself."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.operator import Query, select_queries
from regard.core.precision import at_least_single
from regard.core.rowwise import RowwiseOperator


@dataclass(frozen=True)
class DenseOperator(RowwiseOperator):
    """Attention whose weights the model formed itself.

    Attributes:
        weights: (batch, heads, query, key), as the model used them.

    """

    weights: Tensor

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        batch, heads, query, key = self.weights.shape
        return batch, heads, query, key

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.weights.device

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""
        return select_queries(self.weights, query)

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values, in the more precise of the two types."""
        precision = torch.promote_types(self.weights.dtype, values.dtype)
        return self.weights.to(precision) @ values.to(precision)

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance, in the more precise of the two types."""
        precision = torch.promote_types(self.weights.dtype, relevance.dtype)
        return self.weights.mT.to(precision) @ relevance.to(precision)

    def row_sums(self) -> Float[Tensor, "batch head query 1"]:
        """Return what each row sums to."""
        return at_least_single(self.weights).sum(-1, keepdim=True)
