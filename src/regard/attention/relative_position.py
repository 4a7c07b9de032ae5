"""A learned bias for every offset between two positions, at any size of map.

Liu et al., "Swin Transformer", 2021 (arXiv 2103.14030), eq. 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.attention.options import at_least, rows_and_cols


def _sampling_matrix(old: int, new: int, like: Tensor) -> Float[Tensor, "new old"]:
    """Return the matrix that resamples `old` values to `new` by linear interpolation."""
    cell = torch.arange(new, device=like.device, dtype=like.dtype)
    place = ((cell + 0.5) * (old / new) - 0.5).clamp(0, old - 1)
    neighbour = torch.arange(old, device=like.device, dtype=like.dtype)
    return (1 - (place[:, None] - neighbour).abs()).clamp(min=0)


def resize(
    table: Float[Tensor, "entry old_rows old_cols"], rows: int, cols: int
) -> Float[Tensor, "entry {rows} {cols}"]:
    """Resize learned tables by bilinear interpolation, keeping the centre where it is.

    Equal to `F.interpolate(..., mode="bilinear", align_corners=False)`; written as two matrix
    products because their gradients are the same in every run on every device, and its are not.

    Args:
        table: (entry, old rows, old cols).
        rows: the new number of rows.
        cols: the new number of columns.

    Returns:
        (entry, rows, cols).

    """
    old_rows, old_cols = table.shape[-2:]
    if (old_rows, old_cols) == (rows, cols):
        return table
    vertical = _sampling_matrix(old_rows, rows, table)
    horizontal = _sampling_matrix(old_cols, cols, table)
    return vertical @ table @ horizontal.mT


class RelativePositionBias(nn.Module):
    """A bias for each head and each offset (rows, cols) from a key to a query.

    The table is learned for maps of one size. At another size it is stretched by bilinear
    interpolation, so that an offset means the same share of the map.

    Args:
        num_heads: how many heads.
        size: (rows, cols) of the maps whose offsets the table holds, or one number for a square.

    """

    def __init__(self, num_heads: int, size: int | tuple[int, int]) -> None:
        super().__init__()
        at_least(1, num_heads=num_heads)
        rows, cols = rows_and_cols(size)
        self.table = nn.Parameter(torch.empty(num_heads, 2 * rows - 1, 2 * cols - 1))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, height: int, width: int) -> Float[Tensor, "head query key"]:
        """Return the bias of every pair of positions of a (height, width) map."""
        table = resize(self.table, 2 * height - 1, 2 * width - 1)
        # Entry (i, j, r, c) of the two unfolds is table[i + r, j + c]. Flipped, r = height-1-a and
        # c = width-1-b: the entry of the offset from key (a, b) to query (i, j).
        pairs = table.unfold(1, height, 1).unfold(2, width, 1).flip(3, 4)
        return pairs.flatten(3, 4).flatten(1, 2)
