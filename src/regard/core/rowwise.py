"""What every attention operator can tell from its rows, a block of them at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.distance import CellDistances
from regard.core.errors import unknown_name
from regard.core.grid import Grid
from regard.core.operator import AttentionOperator, Query
from regard.core.precision import at_least_single

# Weights that are in memory at once. A block that stays in a CPU's cache is three times as fast as
# one that does not; other devices rather want few and large kernels.
_CPU_ELEMENTS = 1 << 18
_DEVICE_ELEMENTS = 1 << 24


def block_elements(device: torch.device) -> int:
    """Return how many weights a block should have."""
    return _CPU_ELEMENTS * torch.get_num_threads() if device.type == "cpu" else _DEVICE_ELEMENTS


class RowwiseOperator(ABC):
    """An operator that has its shape, rows and products, and tells the rest from those."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the tensors are."""

    @abstractmethod
    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""

    @abstractmethod
    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""

    @abstractmethod
    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""

    def dense(self) -> Float[Tensor, "batch head query key"]:
        """Return the matrix, at its full memory cost."""
        return self.rows(slice(None))

    def row_sums(self) -> Float[Tensor, "batch head query 1"]:
        """Return what each row sums to: 1 in softmax attention, 0 if a query sees no key."""
        batch, heads, _, keys = self.shape
        return self.matvec(torch.ones(batch, heads, keys, 1, device=self.device))

    def head_mean(self) -> "HeadMean":
        """Return the mean over heads, again an operator: (batch, 1, query, key)."""
        return HeadMean(self)

    def entropy(self) -> Float[Tensor, "batch head query"]:
        """Return the entropy of every row in nats: 0 for one key, log(keys) for all alike.

        Rows are normalised first. NaN for a row that is no distribution: of zeros, or with a
        negative weight (linear attention may have those).
        """
        return torch.cat([_entropy(rows) for _, rows in self.row_blocks()], -1)

    def mean_distance(
        self, query_grid: Grid, key_grid: Grid, *, unit: str = "pixels"
    ) -> Float[Tensor, "batch head query"]:
        """Return how far away each query attends: Σ_j A_ij |x_i − x_j|, over keys with a place.

        The mean attention distance of Dosovitskiy et al. 2020 (arXiv 2010.11929, figure 7), for
        each query. Centres of cells are compared, within the frame; weights are normalised over
        the keys that have a place. NaN for a query without a place.

        Args:
            query_grid: where the queries lie; of its groups, batch entry b is b mod groups.
            key_grid: where the keys lie.
            unit: `pixels` of the input, or `cells` of the keys' grid.

        Raises:
            InputError: the grids are not of this operator, the unit is unknown, or pixels are
                asked for and the cells' size in pixels is not known.

        """
        if unit not in ("pixels", "cells"):
            raise unknown_name("unit", unit, ("pixels", "cells"))
        distances = CellDistances.between(query_grid, key_grid, self.shape, unit, self.device)
        means = [distances.mean(rows, block) for block, rows in self.row_blocks()]
        return torch.cat(means, -1)

    def row_blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield all rows in order, as many at a time as a block holds: (which, rows)."""
        batch, heads, queries, keys = self.shape
        step = max(1, block_elements(self.device) // (batch * heads * keys))
        for start in range(0, queries, step):
            block = slice(start, min(start + step, queries))
            yield block, at_least_single(self.rows(block))


def _entropy(rows: Tensor) -> Tensor:
    shares = rows / rows.sum(-1, keepdim=True)
    # Clamped, because the derivative of p·log p at 0 is infinite.
    entropy = -(shares * shares.clamp_min(torch.finfo(shares.dtype).tiny).log()).sum(-1)
    return entropy.masked_fill((shares < 0).any(-1), torch.nan)


@dataclass(frozen=True)
class HeadMean(RowwiseOperator):
    """The mean over heads of an operator: (batch, 1, query, key).

    Attributes:
        operator: with any number of heads.

    """

    operator: AttentionOperator

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, 1, query, key)."""
        batch, _, queries, keys = self.operator.shape
        return batch, 1, queries, keys

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.operator.device

    def rows(self, query: Query) -> Float[Tensor, "batch 1 some key"]:
        """Return rows A[query, :]."""
        return at_least_single(self.operator.rows(query)).mean(1, keepdim=True)

    def matvec(self, values: Float[Tensor, "batch 1 key d"]) -> Float[Tensor, "batch 1 query d"]:
        """Return A @ values."""
        return self._mean_of(self.operator.matvec, values)

    def rmatvec(
        self, relevance: Float[Tensor, "batch 1 query d"]
    ) -> Float[Tensor, "batch 1 key d"]:
        """Return Aᵀ @ relevance."""
        return self._mean_of(self.operator.rmatvec, relevance)

    def row_sums(self) -> Float[Tensor, "batch 1 query 1"]:
        """Return what each row sums to."""
        return self.operator.row_sums().mean(1, keepdim=True)

    def _mean_of(self, product: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
        heads = self.operator.shape[1]
        return product(values.expand(-1, heads, -1, -1)).mean(1, keepdim=True)
