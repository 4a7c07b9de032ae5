"""Softmax attention, recomputed from queries and keys."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from regard.capture.operators import kernels
from regard.capture.operators.query_key import QueryKeyOperator, softmax_rows
from regard.core.operator import Query, select_queries
from regard.core.precision import at_least_single
from regard.core.rowwise import RowwiseOperator, block_elements


@dataclass(frozen=True)
class SoftmaxOperator(QueryKeyOperator):
    """Attention recomputed from queries and keys, never as a whole matrix unless asked for.

    Half-precision queries and keys are computed with in float32. Products need memory of the
    order of the tokens, also for gradients through them: A·v is the fused kernel; Aᵀ·r runs in
    blocks of rows on a CPU, where a block that fits into the cache needs half the fused kernel's
    work, and through the fused kernel elsewhere; so does the entropy. With a mask, or where
    gradients are wanted, both run in blocks.

    Attributes:
        query: (batch, heads, query, d).
        key: (batch, heads, key, d).
        mask: added to the scores, or True where a key may be seen; broadcastable to the scores.
        scale: what the products are multiplied with.
        causal: True if query i sees only keys 0 … i.

    """

    mask: Tensor | None = None
    scale: float = 1.0
    causal: bool = False

    def scores(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return what goes into the softmax. A key that may not be seen has −∞."""
        q = at_least_single(select_queries(self.query, query))
        scores = q * self.scale @ at_least_single(self.key).mT
        if self.mask is not None:
            mask = select_queries(self.mask.expand(*self.mask.shape[:-2], self.shape[2], -1), query)
            scores = _masked(scores, mask)
        if self.causal:
            positions = torch.arange(self.shape[2], device=q.device)[:, None]
            seen = select_queries(positions, query) >= torch.arange(self.shape[3], device=q.device)
            scores = _masked(scores, seen)
        return scores

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :].

        A query that may see no key at all has zeros, as PyTorch's fused attention has it.
        """
        scores = self.scores(query)
        return scores.softmax(-1) if self.mask is None else softmax_rows(scores)

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values, fused."""
        if self.mask is not None and self.causal:  # which the fused function does not take
            blocks = [rows @ values.to(rows.dtype) for _, rows in self.row_blocks()]
            return torch.cat(blocks, 2)
        q, k = at_least_single(self.query), at_least_single(self.key)
        mask = self.mask
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(q.dtype)
        # Values of another width than the keys would silently take the path that forms the matrix.
        width = max(q.shape[-1], values.shape[-1])
        q, k, v = (kernels.padded(x, width) for x in (q, k, values.to(q.dtype)))
        product = F.scaled_dot_product_attention(
            q, k, v, mask, scale=self.scale, is_causal=self.causal
        )
        return product[..., : values.shape[-1]]

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        q = at_least_single(self.query)
        relevance = relevance.to(q.dtype)
        if self.device.type != "cpu" and self._fuses(relevance):
            k = at_least_single(self.key)
            return kernels.transposed_product(q, k, relevance, scale=self.scale, causal=self.causal)
        return self._each_part(lambda part, at: part._transposed_times(relevance[at]))

    def row_sums(self) -> Float[Tensor, "batch head query 1"]:
        """Return 1 for each row, 0 for that of a query that sees no key."""
        batch, heads, queries, _ = self.shape
        if self.mask is None:
            ones = torch.ones((), dtype=at_least_single(self.query).dtype, device=self.device)
            return ones.expand(batch, heads, queries, 1)
        if self.causal:
            return super().row_sums()
        seen = self.mask if self.mask.dtype == torch.bool else self.mask > -torch.inf
        sums = seen.any(-1, keepdim=True).to(at_least_single(self.query).dtype)
        return sums.expand(batch, heads, queries, 1)

    def entropy(self) -> Float[Tensor, "batch head query"]:
        """Return the entropy of every row in nats; NaN for a query that sees no key."""
        q, k = at_least_single(self.query), at_least_single(self.key)
        if self._fuses():
            return kernels.entropy(q, k, scale=self.scale, causal=self.causal)
        return self._each_part(lambda part, _: RowwiseOperator.entropy(part))

    def _fuses(self, *others: Tensor) -> bool:
        """Return True if the logsumexp of a fused kernel can be had, and may be used."""
        if self.device.type not in kernels.KERNELS or self.mask is not None:
            return False
        square = self.shape[2] == self.shape[3]
        return (square or not self.causal) and not self._needs_gradient(*others)

    def _needs_gradient(self, *others: Tensor) -> bool:
        mine = (self.query, self.key) if self.mask is None else (self.query, self.key, self.mask)
        return torch.is_grad_enabled() and any(x.requires_grad for x in (*mine, *others))

    def _each_part(
        self, function: Callable[["SoftmaxOperator", tuple[slice, slice]], Tensor]
    ) -> Tensor:
        """Apply a function to so many images and heads at once as fit into a block; join them."""
        batch, heads, queries, keys = self.shape
        matrices = max(1, block_elements(self.device) // (queries * keys))
        images, some_heads = max(1, matrices // heads), min(heads, matrices)
        results = []
        for first in range(0, batch, images):
            at = [
                (slice(first, first + images), slice(head, head + some_heads))
                for head in range(0, heads, some_heads)
            ]
            results.append(torch.cat([function(self._part(*here), here) for here in at], 1))
        return torch.cat(results)

    def _part(self, images: slice, heads: slice) -> "SoftmaxOperator":
        mask = self.mask
        if mask is not None:
            mask = mask[(None,) * (4 - mask.dim())]
            mask = mask if mask.shape[0] == 1 else mask[images]
            mask = mask if mask.shape[1] == 1 else mask[:, heads]
        query, key = self.query[images, heads], self.key[images, heads]
        return replace(self, query=query, key=key, mask=mask)

    def _transposed_times(self, relevance: Tensor) -> Tensor:
        batch, heads, queries, keys = self.shape
        step = max(1, block_elements(self.device) // (batch * heads * keys))
        again = queries > step and self._needs_gradient(relevance)
        total = relevance.new_zeros(batch, heads, keys, relevance.shape[-1])
        for start in range(0, queries, step):
            block = slice(start, min(start + step, queries))
            if again:  # compute the rows once more on the way back rather than keep them all
                product = checkpoint(
                    self._block_product,
                    block,
                    relevance,
                    use_reentrant=False,
                    preserve_rng_state=False,
                )
            else:
                product = self._block_product(block, relevance)
            total = total + product
        return total

    def _block_product(self, block: slice, relevance: Tensor) -> Tensor:
        return (relevance[..., block, :].mT @ self.rows(block)).mT


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Apply a mask: True where a key may be seen, or numbers to add."""
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    return scores + mask.to(scores.dtype)
