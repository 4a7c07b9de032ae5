"""Sparse operators: the identity, and resampling between two grids."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from regard.core.grid import NO_PLACE, Grid
from regard.core.operator import Query, select_queries
from regard.core.rowwise import RowwiseOperator


@dataclass(frozen=True)
class SparseOperator(RowwiseOperator):
    """A matrix with few entries, the same for all images and heads: (1, 1, query, key).

    It multiplies tensors of any batch and any number of heads.

    Attributes:
        queries: the row of every entry.
        keys: the column of every entry.
        weights: the entries.
        size: (query, key).

    """

    queries: Int[Tensor, " entry"]
    keys: Int[Tensor, " entry"]
    weights: Float[Tensor, " entry"]
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(1, 1, query, key)."""
        return 1, 1, *self.size

    @property
    def device(self) -> torch.device:
        """Where the entries are."""
        return self.weights.device

    def rows(self, query: Query) -> Float[Tensor, "1 1 some key"]:
        """Return rows A[query, :]."""
        wanted = select_queries(torch.arange(self.size[0], device=self.device)[:, None], query)
        found, entry = (wanted == self.queries).nonzero(as_tuple=True)
        rows = self.weights.new_zeros(1, 1, len(wanted), self.size[1])
        at = tuple(torch.zeros_like(found) for _ in range(2))
        return rows.index_put((*at, found, self.keys[entry]), self.weights[entry], accumulate=True)

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        return self._moved(values, self.keys, self.queries, self.size[0])

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        return self._moved(relevance, self.queries, self.keys, self.size[1])

    def _moved(self, values: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
        moved = values[:, :, source] * self.weights.to(values.dtype)[:, None]
        result = moved.new_zeros(*values.shape[:2], size, values.shape[3])
        return result.index_add(2, target, moved)


def identity(tokens: int, device: torch.device | None = None) -> SparseOperator:
    """Return the operator that leaves everything as it is."""
    diagonal = torch.arange(tokens, device=device)
    return SparseOperator(diagonal, diagonal, torch.ones(tokens, device=device), (tokens, tokens))


def resampling(
    query_grid: Grid, key_grid: Grid, device: torch.device | None = None
) -> SparseOperator:
    """Return the operator that takes values on one grid to another: (1, 1, query, key).

    A query cell gets the mean of the key cells it overlaps, weighted by the area they share. That
    is average pooling or patch merging where the queries are coarser, a copy where they are finer,
    the identity where both are alike. Of several key tokens in a cell it gets the mean; cells
    without a key token are left out. Tokens without a place correspond in order: the first of the
    queries (a class token) to the first of the keys; one without a counterpart has a row of zeros.

    Args:
        query_grid: with tokens in one group.
        key_grid: with tokens in one group.
        device: where the operator shall be.

    """
    # (query cell, key cell, shared area), from what the cells share along each axis.
    query_cell, key_cell, area = np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1)
    for axis in ("frames", "rows", "cols"):
        sizes = getattr(query_grid, axis), getattr(key_grid, axis)
        ours, theirs, shared = _overlaps(*sizes)
        query_cell = (query_cell[:, None] * sizes[0] + ours).ravel()
        key_cell = (key_cell[:, None] * sizes[1] + theirs).ravel()
        area = (area[:, None] * shared).ravel()
    theirs = key_grid.table[0]
    sharing = np.bincount(theirs[theirs != NO_PLACE], minlength=key_grid.cells)
    entry, keys = _tokens_in(theirs, key_cell)
    query_cell, area = query_cell[entry], area[entry] / sharing[key_cell[entry]]
    entry, queries = _tokens_in(query_grid.table[0], query_cell)
    keys, area = keys[entry], area[entry]
    area /= np.bincount(queries, area, minlength=query_grid.tokens)[queries]
    unplaced = [np.flatnonzero(grid.table[0] == NO_PLACE) for grid in (query_grid, key_grid)]
    both = min(map(len, unplaced))
    entries = (
        np.concatenate([unplaced[0][:both], queries]),
        np.concatenate([unplaced[1][:both], keys]),
        np.concatenate([np.ones(both), area]).astype(np.float32),
    )
    of_query, of_key, weights = (torch.from_numpy(entry).to(device) for entry in entries)
    return SparseOperator(of_query, of_key, weights, (query_grid.tokens, key_grid.tokens))


def _overlaps(ours: int, theirs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which of two divisions of the same length overlap, and by how much of it."""
    # In units of 1 / (ours · theirs), so that edges that coincide are equal integers.
    start, other = np.arange(ours)[:, None] * theirs, np.arange(theirs) * ours
    shared = np.minimum(start + theirs, other + ours) - np.maximum(start, other)
    first, second = np.nonzero(shared > 0)
    return first, second, shared[first, second] / (ours * theirs)


def _tokens_in(table: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every pair of an index into `cells` and a token that lies in that cell."""
    order = np.argsort(table, kind="stable")
    first = np.searchsorted(table[order], cells, side="left")
    count = np.searchsorted(table[order], cells, side="right") - first
    index = np.repeat(np.arange(len(cells)), count)
    within = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
    return index, order[first[index] + within]
