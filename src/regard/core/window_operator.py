"""Attention within windows as one operator over the whole lattice."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.core.heads_in_batch import HeadsInBatch
from regard.core.operator import AttentionOperator, Query, select_queries
from regard.core.rowwise import RowwiseOperator


@dataclass(frozen=True)
class WindowOperator(RowwiseOperator):
    """Attention within windows, (images, heads, cells of the queries, cells of the keys).

    The windows of an image (shifted, overlapping, padded, of any shape) are folded into the batch
    of the operator within them. Here a cell of the query lattice asks through the tokens that lie
    in it (their mean, if several do) and a cell of the key lattice gets what its tokens get (their
    sum). What tokens without a place get is lost, so that rows may sum to less than 1. Products
    gather, multiply within the windows, and scatter.

    Attributes:
        inner: (images × groups, heads, query, key), groups running fastest. Where the grids say
            that heads are groups: (…, heads, query, key), all of them groups of images.
        query_grid: (group, query) → cell.
        key_grid: (group, key) → cell.

    """

    inner: AttentionOperator
    query_grid: Grid
    key_grid: Grid

    def __post_init__(self) -> None:
        """Check that the grids are the inner operator's.

        Raises:
            InputError: they have other tokens, or groups that do not divide the batch.

        """
        batch, heads, queries, keys = self.inner.shape
        groups = self.query_grid.groups
        tokens = (self.query_grid.tokens, self.key_grid.tokens)
        fits = (
            self.query_grid.fits(batch, heads, queries),
            self.key_grid.fits(batch, heads, keys),
        )
        if not all(fits) or self.key_grid.groups != groups:
            raise InputError(
                f"windows of {queries} queries and {keys} keys in a batch of {batch} cannot lie on "
                f"grids of {groups} × {tokens[0]} and {self.key_grid.groups} × {tokens[1]} (group "
                "× token); the groups must agree and divide the batch"
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(images, heads, cells of the queries, cells of the keys)."""
        batch, heads, _, _ = self._windows.shape
        return batch // self.query_grid.groups, heads, self.query_grid.cells, self.key_grid.cells

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.inner.device

    def rows(self, query: Query) -> Float[Tensor, "image head some key"]:
        """Return rows A[query, :]; of a cell without a query, zeros."""
        images, heads, cells, keys = self.shape
        every = torch.arange(cells, device=self.device)[:, None]
        wanted = select_queries(every, query)[:, 0]
        found = (self._queries.flatten() == wanted[:, None]).nonzero()
        tokens = self.query_grid.tokens
        row, group, token = found[:, 0], found[:, 1] // tokens, found[:, 1] % tokens
        asked, which = token.unique(return_inverse=True)
        rows = self._windows.rows(asked).unflatten(0, (images, self.query_grid.groups))
        rows = rows[:, group, :, which].movedim(0, 2)  # (image, head, found, key)
        rows = rows / self._asking[wanted[row], None]
        result = rows.new_zeros(images, heads, len(wanted) * (keys + 1))
        at = row[:, None] * (keys + 1) + self._padded(self._keys[group], keys)
        result = result.index_add(-1, at.flatten(), rows.flatten(-2))
        return result.unflatten(-1, (-1, keys + 1))[..., :keys]

    def matvec(
        self, values: Float[Tensor, "image head key d"]
    ) -> Float[Tensor, "image head query d"]:
        """Return A @ values."""
        gathered = self._gather(values, self._keys)
        product = self._scatter(self._windows.matvec(gathered), self._queries, self.shape[2])
        return product / self._asking[:, None].clamp_min(1)

    def rmatvec(
        self, relevance: Float[Tensor, "image head query d"]
    ) -> Float[Tensor, "image head key d"]:
        """Return Aᵀ @ relevance."""
        shared = relevance / self._asking[:, None].clamp_min(1)
        gathered = self._gather(shared, self._queries)
        return self._scatter(self._windows.rmatvec(gathered), self._keys, self.shape[3])

    @cached_property
    def _windows(self) -> AttentionOperator:
        """The inner operator with every window in the batch."""
        return HeadsInBatch(self.inner) if self.query_grid.heads_are_groups else self.inner

    @cached_property
    def _queries(self) -> Int[Tensor, "group query"]:
        return torch.from_numpy(self.query_grid.table).to(self.device)

    @cached_property
    def _keys(self) -> Int[Tensor, "group key"]:
        return torch.from_numpy(self.key_grid.table).to(self.device)

    @cached_property
    def _asking(self) -> Int[Tensor, " cell"]:
        """How many queries lie in each cell of the query lattice."""
        placed = self._queries[self._queries != NO_PLACE]
        return torch.bincount(placed, minlength=self.query_grid.cells)

    @staticmethod
    def _padded(table: Tensor, cells: int) -> Tensor:
        """Return the table with one more cell, behind the last, for tokens without a place."""
        return torch.where(table == NO_PLACE, cells, table)

    def _gather(self, values: Tensor, table: Tensor) -> Tensor:
        """Lay (image, head, cell, d) out as (image × group, head, token, d), 0 without a place."""
        tokens = values[:, :, table.clamp(min=0)]  # (image, head, group, token, d)
        tokens = tokens.masked_fill((table == NO_PLACE)[..., None], 0.0)
        return tokens.transpose(1, 2).flatten(0, 1)

    def _scatter(self, tokens: Tensor, table: Tensor, cells: int) -> Tensor:
        """Sum (image × group, head, token, d) into (image, head, cell, d)."""
        tokens = tokens.unflatten(0, (-1, len(table))).transpose(1, 2).flatten(2, 3)
        result = tokens.new_zeros(*tokens.shape[:2], cells + 1, tokens.shape[-1])
        return result.index_add(2, self._padded(table, cells).flatten(), tokens)[:, :, :cells]
