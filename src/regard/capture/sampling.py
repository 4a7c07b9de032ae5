"""Where sampled attention looks: which cells, of one or several maps, each sample is a part of."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from regard.capture.layout import Folded
from regard.capture.operators import SampledOperator


@dataclass(frozen=True)
class Corners:
    """The cells that samples take part of.

    Attributes:
        cell: (…, corner), row · cols + col.
        share: (…, corner), how much of that cell; 0 outside the map.

    """

    cell: Tensor
    share: Tensor


def pixel_positions(places: Tensor, size: tuple[int, int], *, align_corners: bool) -> Tensor:
    """Return where samples are taken, in cells: 0 is the centre of the first row or column.

    Args:
        places: (…, 2), (x, y) from −1 to 1, as `grid_sample` has it.
        size: rows and columns of the map.
        align_corners: True if ±1 are the centres of the outer cells, and not their borders.

    Returns:
        (…, 2), (row, col).

    """
    lengths = places.new_tensor(size)
    yx = places.flip(-1)
    if align_corners:
        return (yx + 1) / 2 * (lengths - 1)
    return ((yx + 1) * lengths - 1) / 2


def corners_of(
    positions: Tensor, size: tuple[int, int], *, mode: str, padding: str, align_corners: bool
) -> Corners:
    """Return which cells each sample takes part of, and how much.

    Args:
        positions: (…, 2), (row, col) in cells.
        size: rows and columns of the map.
        mode: `bilinear` or `nearest`.
        padding: `zeros`, `border` or `reflection`, for samples outside the map.
        align_corners: as `grid_sample` has it; it decides where reflection turns round.

    """
    lengths = positions.new_tensor(size)
    if padding == "reflection":
        positions = _reflected(positions, lengths, align_corners=align_corners)
    if padding != "zeros":
        positions = torch.minimum(positions.clamp(min=0), lengths - 1)
    if mode == "nearest":
        corner = positions.round()[..., None, :]
        share = torch.ones_like(corner[..., 0])
    else:
        first = positions.floor()
        step = positions.new_tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
        corner = first[..., None, :] + step
        share = (1 - (positions[..., None, :] - corner).abs()).prod(-1)
    inside = ((corner >= 0) & (corner < lengths)).all(-1)
    rows, cols = torch.minimum(corner.clamp(min=0), lengths - 1).long().unbind(-1)
    return Corners(rows * size[1] + cols, share * inside)


def _reflected(positions: Tensor, lengths: Tensor, *, align_corners: bool) -> Tensor:
    """Fold positions back into the map, as often as needed."""
    low, span = (0.0, lengths - 1) if align_corners else (-0.5, lengths)
    span = span.clamp(min=torch.finfo(positions.dtype).tiny)
    distance = (positions - low).abs() % (2 * span)
    return torch.minimum(distance, 2 * span - distance) + low


@dataclass(frozen=True)
class Level:
    """One map that samples were taken of.

    Attributes:
        features: (batch · heads, d, rows, cols).
        places: (batch · heads, query, sample, 2), (x, y) from −1 to 1.
        mode, padding, align_corners: as `grid_sample` has them.

    """

    features: Tensor
    places: Tensor
    mode: str
    padding: str
    align_corners: bool

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        rows, cols = self.features.shape[-2:]
        return rows, cols

    @property
    def positions(self) -> Tensor:
        """Where the samples are taken, in cells: (batch · heads, query, sample, 2)."""
        return pixel_positions(self.places, self.size, align_corners=self.align_corners)

    @property
    def corners(self) -> Corners:
        """Which cells the samples take part of: (batch · heads, query, sample, corner)."""
        return corners_of(
            self.positions,
            self.size,
            mode=self.mode,
            padding=self.padding,
            align_corners=self.align_corners,
        )


def values_of(levels: Sequence[Level], heads: int) -> Tensor:
    """Return the cells of all maps, one map after the other: (batch, heads, key, d)."""
    return Folded(heads)(torch.cat([level.features.flatten(2) for level in levels], -1).mT)


def locations_of(levels: Sequence[Level], heads: int) -> Tensor:
    """Return where samples are taken: (batch, heads, query, sample, 2).

    (row, col) as fractions of the map's height and width, from its upper left corner.
    """
    parts = [(x.positions + 0.5) / x.positions.new_tensor(x.size) for x in levels]
    both = torch.cat(parts, 2)
    return both.unflatten(0, (-1, heads))


def operator_of(levels: Sequence[Level], weights: Tensor) -> SampledOperator:
    """Return the operator over the cells of all maps.

    Args:
        levels: the maps, in the order of the keys.
        weights: (batch, heads, query, sample), the samples of one map after the other.

    """
    cells, shares, start = [], [], 0
    for level in levels:
        corners = level.corners
        cells.append(corners.cell + start)
        shares.append(corners.share)
        start += level.size[0] * level.size[1]
    heads = weights.shape[1]
    cell, share = (torch.cat(parts, 2).unflatten(0, (-1, heads)) for parts in (cells, shares))
    return SampledOperator(cell.flatten(3), (share * weights[..., None]).flatten(3), start)
