"""Sampled attention: a few places a query, between the cells of one or several maps."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.operator import Query, select_queries
from regard.core.precision import at_least_single
from regard.core.rowwise import RowwiseOperator, block_elements


@dataclass(frozen=True)
class SampledOperator(RowwiseOperator):
    """Deformable attention (Zhu et al. 2021, arXiv 2010.04159) as a sparse matrix over all cells.

    A sample between cells is a weighted mean of its neighbours. Half precision is computed with in
    float32.

    Attributes:
        cell: (batch, heads, query, part), the keys that each query takes part of.
        share: (batch, heads, query, part), how much; the same key may come more than once.
        keys: how many keys there are.

    """

    cell: Tensor
    share: Tensor
    keys: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        batch, heads, queries, _ = self.cell.shape
        return batch, heads, queries, self.keys

    @property
    def device(self) -> torch.device:
        """Where the shares are."""
        return self.share.device

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""
        cell = select_queries(self.cell, query)
        share = select_queries(at_least_single(self.share), query)
        return share.new_zeros(*cell.shape[:3], self.keys).scatter_add(-1, cell, share)

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        share = at_least_single(self.share)
        values = values.to(share.dtype)
        return torch.cat([self._taken(block, share, values) for block in self._parts(values)], 2)

    def _taken(self, block: slice, share: Tensor, values: Tensor) -> Tensor:
        cell = self.cell[:, :, block]
        taken = values.gather(2, cell.flatten(2)[..., None].expand(-1, -1, -1, values.shape[-1]))
        return (taken.unflatten(2, cell.shape[2:]) * share[:, :, block, :, None]).sum(3)

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        share = at_least_single(self.share)
        relevance = relevance.to(share.dtype)
        batch, heads, _, keys = self.shape
        total = relevance.new_zeros(batch, heads, keys, relevance.shape[-1])
        for block in self._parts(relevance):
            given = (relevance[:, :, block, None] * share[:, :, block, :, None]).flatten(2, 3)
            cell = self.cell[:, :, block].flatten(2)[..., None]
            total = total.scatter_add(2, cell.expand_as(given), given)
        return total

    def _parts(self, values: Tensor) -> list[slice]:
        batch, heads, queries, parts = self.cell.shape
        step = block_elements(self.device) // (batch * heads * parts * values.shape[-1])
        return [slice(n, n + max(1, step)) for n in range(0, queries, max(1, step))]
