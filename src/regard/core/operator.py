"""Attention as a linear operator on values: asked for rows and products, never forced to be a matrix."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class AttentionOperator(Protocol):
    """A of shape (batch, heads, query, key), given by what it does.

    Implementations promise `matvec(v) == dense() @ v` and `rmatvec(r) == dense().mT @ r`
    within rounding, at less cost than forming the matrix.
    """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        ...

    def rows(self, query: int | slice | Tensor) -> Tensor:
        """Return rows A[query, :]: (batch, heads, selected queries, key)."""
        ...

    def matvec(self, values: Tensor) -> Tensor:
        """Return A @ values: (batch, heads, key, d) -> (batch, heads, query, d)."""
        ...

    def rmatvec(self, relevance: Tensor) -> Tensor:
        """Return Aᵀ @ relevance: (batch, heads, query, d) -> (batch, heads, key, d)."""
        ...

    def dense(self) -> Tensor:
        """Return the matrix (batch, heads, query, key), at its full memory cost."""
        ...
