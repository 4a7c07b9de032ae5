"""Kernelised attention: any product costs O(tokens)."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from regard.capture.operators.query_key import QueryKeyOperator
from regard.core.operator import Query, select_queries
from regard.core.precision import at_least_single


@dataclass(frozen=True)
class LinearOperator(QueryKeyOperator):
    """φ(q)·φ(k)ᵀ over a normaliser. Half precision is computed with in float32.

    Attributes:
        query: φ(q), (batch, heads, query, d).
        key: φ(k), (batch, heads, key, d).
        normaliser: what each query's row is divided by, (batch, heads, query, 1); None for 1.
        scale: what the products are multiplied with.

    """

    normaliser: Tensor | None = None
    scale: float = 1.0

    def _per_query(self) -> Tensor:
        """Return φ(q) with the scale and the normaliser already in it."""
        query = at_least_single(self.query) * self.scale
        return query if self.normaliser is None else query / at_least_single(self.normaliser)

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""
        return select_queries(self._per_query(), query) @ at_least_single(self.key).mT

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        key = at_least_single(self.key)
        return self._per_query() @ (key.mT @ values.to(key.dtype))

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        key = at_least_single(self.key)
        return key @ (self._per_query().mT @ relevance.to(key.dtype))
