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

    """

    queries: Tensor
    keys: Tensor

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
        batch, _, queries, keys = shape
        for name, grid, tokens in (("query", query_grid, queries), ("key", key_grid, keys)):
            if grid.tokens != tokens or grid.groups != key_grid.groups or batch % grid.groups:
                raise InputError(
                    f"{name}_grid has {grid.groups} group(s) of {grid.tokens} tokens, the operator "
                    f"{tokens} in a batch of {batch}; pass the record's own {name}_grid"
                )
        extent = (float(key_grid.rows), float(key_grid.cols))
        if unit == "pixels":
            if key_grid.cell is None:
                raise InputError(
                    "the cells of this grid have no known size in pixels; ask for unit='cells'"
                )
            extent = (extent[0] * key_grid.cell[0], extent[1] * key_grid.cell[1])
        return cls(_centres(query_grid, extent, device), _centres(key_grid, extent, device))

    def mean(self, rows: Tensor, block: slice) -> Tensor:
        """Return the mean distance of the rows of a block: (batch, heads, block's queries)."""
        offsets = self.queries[:, block, None] - self.keys[:, None]
        distances = torch.linalg.vector_norm(offsets, dim=-1).to(rows.dtype)
        placed = ~self.keys[:, :, 0].isnan()
        distances = distances.masked_fill(~placed[:, None], 0.0)
        groups = len(distances)
        grouped = rows.unflatten(0, (rows.shape[0] // groups, groups))
        total = torch.einsum("bghqk,gqk->bghq", grouped, distances)
        weight = torch.einsum("bghqk,gk->bghq", grouped, placed.to(rows.dtype))
        return (total / weight).flatten(0, 1)


def _centres(grid: Grid, extent: tuple[float, float], device: torch.device) -> Tensor:
    """Return the centre of every token's cell, in units of which the input has `extent`."""
    row, col = np.divmod(grid.table % (grid.rows * grid.cols), grid.cols)
    centres = np.stack(
        [(row + 0.5) * (extent[0] / grid.rows), (col + 0.5) * (extent[1] / grid.cols)], axis=-1
    )
    centres[grid.table == NO_PLACE] = np.nan
    return torch.from_numpy(centres.astype(np.float32)).to(device)
