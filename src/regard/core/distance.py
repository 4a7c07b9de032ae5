"""How far apart on the input the queries and keys of an attention lie."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid


@dataclass(frozen=True)
class CellDistances:
    """The places of the queries and keys of an operator, ready to be compared block by block.

    Attributes:
        queries: (group, query, 2), the centres of their cells; NaN without a place.
        keys: (group, key, 2), likewise.
        heads_are_groups: True where each head of the operator is a group.

    """

    queries: Tensor
    keys: Tensor
    heads_are_groups: bool = False

    @classmethod
    def between(
        cls,
        query_grid: Grid,
        key_grid: Grid,
        shape: tuple[int, int, int, int],
        unit: str,
        device: torch.device,
    ) -> "CellDistances":
        """Prepare the distances of an operator of `shape` = (batch, heads, query, key).

        Raises:
            InputError: the grids do not have that many tokens, or no known size in pixels.

        """
        for side, grid, tokens in (("query", query_grid, shape[2]), ("key", key_grid, shape[3])):
            if grid.groups != key_grid.groups or not grid.fits(*shape[:2], tokens):
                raise InputError(
                    f"{side}_grid has {grid.groups} group(s) of {grid.tokens} tokens, the operator "
                    f"{tokens} in a batch of {shape[0]}; pass the record's own {side}_grid"
                )
        extent = (float(key_grid.rows), float(key_grid.cols))
        if unit == "pixels":
            if key_grid.cell is None:
                raise InputError(
                    "the cells of this grid have no known size in pixels; ask for unit='cells'"
                )
            extent = (extent[0] * key_grid.cell[0], extent[1] * key_grid.cell[1])
        queries, keys = (_centres(grid, extent, device) for grid in (query_grid, key_grid))
        return cls(queries, keys, key_grid.heads_are_groups)

    def mean(self, rows: Tensor, block: slice) -> Tensor:
        """Return the mean distance of the rows of a block: (batch, heads, block's queries)."""
        offsets = self.queries[:, block, None] - self.keys[:, None]
        distances = torch.linalg.vector_norm(offsets, dim=-1).to(rows.dtype)
        placed = ~self.keys[:, :, 0].isnan()
        distances = distances.masked_fill(~placed[:, None], 0.0)
        groups = len(distances)
        heads = rows.shape[1]
        windows = rows.flatten(0, 1)[:, None] if self.heads_are_groups else rows
        grouped = windows.unflatten(0, (-1, groups))
        total = torch.einsum("bghqk,gqk->bghq", grouped, distances)
        weight = torch.einsum("bghqk,gk->bghq", grouped, placed.to(rows.dtype))
        mean = (total / weight).flatten(0, 1)
        return mean[:, 0].unflatten(0, (-1, heads)) if self.heads_are_groups else mean


def _centres(grid: Grid, extent: tuple[float, float], device: torch.device) -> Tensor:
    """Return the centre of every token's cell, in units of which the input has `extent`."""
    row, col = np.divmod(grid.table % (grid.rows * grid.cols), grid.cols)
    centres = np.stack(
        [(row + 0.5) * (extent[0] / grid.rows), (col + 0.5) * (extent[1] / grid.cols)], axis=-1
    )
    centres[grid.table == NO_PLACE] = np.nan
    return torch.from_numpy(centres.astype(np.float32)).to(device)
