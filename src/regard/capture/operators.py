"""Attention as a linear operator, for each way that it can be stored."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from regard.core.operator import Query, select_queries

# Rows that are in memory at once while a product runs over all queries: about 64 MB in float32.
_BLOCK_ELEMENTS = 1 << 24


def _at_least_single(tensor: Tensor) -> Tensor:
    """Return half precision as float32: the rounding of stored weights should not add to it."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor


@dataclass(frozen=True)
class DenseOperator:
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

    def rows(self, query: Query) -> Tensor:
        """Return rows A[query, :]: (batch, heads, selected queries, key)."""
        return select_queries(self.weights, query)

    def matvec(self, values: Tensor) -> Tensor:
        """Return A @ values: (batch, heads, key, d) -> (batch, heads, query, d)."""
        return self.weights.to(values.dtype) @ values

    def rmatvec(self, relevance: Tensor) -> Tensor:
        """Return Aᵀ @ relevance: (batch, heads, query, d) -> (batch, heads, key, d)."""
        return self.weights.mT.to(relevance.dtype) @ relevance

    def dense(self) -> Tensor:
        """Return the weights: (batch, heads, query, key)."""
        return self.weights


@dataclass(frozen=True)
class SoftmaxOperator:
    """Attention recomputed from queries and keys, never as a whole matrix unless asked for.

    Half-precision queries and keys are computed with in float32.

    Attributes:
        query: (batch, heads, query, d).
        key: (batch, heads, key, d).
        mask: added to the scores, or True where a key may be seen; broadcastable to the scores.
        scale: what the products are multiplied with.
        causal: True if query i sees only keys 0 … i.

    """

    query: Tensor
    key: Tensor
    mask: Tensor | None = None
    scale: float = 1.0
    causal: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        batch, heads, query, _ = self.query.shape
        return batch, heads, query, self.key.shape[2]

    def scores(self, query: Query) -> Tensor:
        """Return what goes into the softmax: (batch, heads, selected queries, key).

        A key that may not be seen has −∞.
        """
        q = _at_least_single(select_queries(self.query, query))
        scores = q @ _at_least_single(self.key).mT * self.scale
        if self.mask is not None:
            mask = select_queries(self.mask.expand(*self.mask.shape[:-2], self.shape[2], -1), query)
            scores = _masked(scores, mask)
        if self.causal:
            positions = torch.arange(self.shape[2], device=q.device)[:, None]
            seen = select_queries(positions, query) >= torch.arange(self.shape[3], device=q.device)
            scores = _masked(scores, seen)
        return scores

    def rows(self, query: Query) -> Tensor:
        """Return rows A[query, :]: (batch, heads, selected queries, key).

        A query that may see no key at all has zeros, as PyTorch's fused attention has it.
        """
        scores = self.scores(query)
        rows = scores.softmax(-1)
        if self.mask is None:
            return rows
        blind = (scores == -torch.inf).all(-1, keepdim=True)
        return rows.masked_fill(blind, 0.0)

    def matvec(self, values: Tensor) -> Tensor:
        """Return A @ values, fused: (batch, heads, key, d) -> (batch, heads, query, d)."""
        q, k, v = (_at_least_single(x) for x in (self.query, self.key, values))
        mask = self.mask
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(q.dtype)
        return F.scaled_dot_product_attention(
            q, k, v.to(q.dtype), mask, scale=self.scale, is_causal=self.causal
        )

    def rmatvec(self, relevance: Tensor) -> Tensor:
        """Return Aᵀ @ relevance, in blocks: (batch, heads, query, d) -> (batch, heads, key, d)."""
        batch, heads, queries, keys = self.shape
        step = max(1, _BLOCK_ELEMENTS // (batch * heads * keys))
        blocks = [slice(start, start + step) for start in range(0, queries, step)]
        first, *others = (self._block(block, relevance) for block in blocks)
        return sum(others, start=first)

    def _block(self, block: slice, relevance: Tensor) -> Tensor:
        rows = self.rows(block)
        return rows.mT @ relevance[..., block, :].to(rows.dtype)

    def dense(self) -> Tensor:
        """Return the matrix (batch, heads, query, key), at its full memory cost."""
        return self.rows(slice(None))


@dataclass(frozen=True)
class LinearOperator:
    """Kernelised attention, φ(q)·φ(k)ᵀ over a normaliser: any product costs O(tokens).

    Attributes:
        query: φ(q), (batch, heads, query, d).
        key: φ(k), (batch, heads, key, d).
        normaliser: what each query's row is divided by, (batch, heads, query, 1); None for 1.
        scale: what the products are multiplied with.

    """

    query: Tensor
    key: Tensor
    normaliser: Tensor | None = None
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        batch, heads, query, _ = self.query.shape
        return batch, heads, query, self.key.shape[2]

    def _per_query(self) -> Tensor:
        """Return φ(q) with the scale and the normaliser already in it."""
        query = self.query * self.scale
        return query if self.normaliser is None else query / self.normaliser

    def rows(self, query: Query) -> Tensor:
        """Return rows A[query, :]: (batch, heads, selected queries, key)."""
        return select_queries(self._per_query(), query) @ self.key.mT

    def matvec(self, values: Tensor) -> Tensor:
        """Return A @ values: (batch, heads, key, d) -> (batch, heads, query, d)."""
        return self._per_query() @ (self.key.mT @ values.to(self.key.dtype))

    def rmatvec(self, relevance: Tensor) -> Tensor:
        """Return Aᵀ @ relevance: (batch, heads, query, d) -> (batch, heads, key, d)."""
        return self.key @ (self._per_query().mT @ relevance.to(self.key.dtype))

    def dense(self) -> Tensor:
        """Return the matrix (batch, heads, query, key), at its full memory cost."""
        return self.rows(slice(None))


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Apply a mask: True where a key may be seen, or numbers to add."""
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    return scores + mask.to(scores.dtype)
