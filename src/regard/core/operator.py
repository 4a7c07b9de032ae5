"""Attention as a linear operator: asked for rows and products, never forced to be a matrix.

`regard.core.rowwise.RowwiseOperator` is the base class that supplies most of this.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.core.grid import Grid

Query = int | slice | Tensor
"""One query, or several: a position, a slice or a tensor of positions."""


def select_queries(tensor: Tensor, query: Query) -> Tensor:
    """Select along the query axis of (…, query, d); a single query keeps its axis.

    Raises:
        InputError: there is no such query.

    """
    count = tensor.shape[-2]
    if isinstance(query, int):
        if not -count <= query < count:
            raise InputError(f"query {query} does not exist: this site has {count} queries")
        query = slice(query % count, query % count + 1)
    return tensor[..., query, :]


@runtime_checkable
class AttentionOperator(Protocol):
    """A of shape (batch, heads, query, key), given by what it does.

    Implementations promise `matvec(v) == dense() @ v` and `rmatvec(r) == dense().mT @ r`
    within rounding, at less memory than the matrix takes, and that gradients flow through both.
    """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        ...

    def rows(self, query: Query) -> Tensor:
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

    def row_sums(self) -> Tensor:
        """Return what each row sums to: (batch, heads, query, 1)."""
        ...

    def head_mean(self) -> "AttentionOperator":
        """Return the mean over heads, again an operator: (batch, 1, query, key)."""
        ...

    def entropy(self) -> Tensor:
        """Return the entropy of every row in nats: (batch, heads, query)."""
        ...

    def mean_distance(self, query_grid: Grid, key_grid: Grid, *, unit: str = "pixels") -> Tensor:
        """Return how far away each query attends: (batch, heads, query)."""
        ...


@runtime_checkable
class ScoredOperator(AttentionOperator, Protocol):
    """Attention that is recomputed from scores, and so can tell them."""

    def scores(self, query: Query) -> Tensor:
        """Return what goes into the softmax: (batch, heads, selected queries, key)."""
        ...
