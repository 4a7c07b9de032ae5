"""From measured positions to a lattice: its rows and columns, and which token is which cell."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

# Nearer than this to the middle of a cell, a token belongs to no other.
_NEAR = 0.5
# Of all tokens, this share must be that near, or there is no lattice.
_ENOUGH = 0.9
# Fewer tokens than this could be anywhere on a map that has more cells than there are tokens, and
# further from the middles of its cells (0.41 cells: anywhere at all).
_FEWEST_OF_PART = 8
_SPREAD_OF_PART = 0.2
# Fewer tokens than this fill some lattice by chance; they must be a map that the model makes.
_FEWEST_UNHEARD_OF = 9
# Of positions, to the lattice's: convolutions shift a little, and stretch a little.
_MOST_STRETCHED = 1.5
# Where so few cells are left, a token next to one of them is placed by elimination.
_ALMOST_ALL = 0.97
# Cost matrices of the assignment are at most this long: 2048² of float64 are 34 MB, and a second.
_LARGEST_ASSIGNMENT = 2048


@dataclass(frozen=True)
class Lattice:
    """A lattice that tokens were found to lie on.

    Attributes:
        shape: cells along each axis.
        cells: the cell of each token, row-major.
        distance: of each token from the middle of its cell, in cells, along the worst axis.

    """

    shape: tuple[int, ...]
    cells: Int[np.ndarray, " token"]
    distance: Float[np.ndarray, " token"]

    @property
    def confidence(self) -> float:
        """Share of the tokens that are nearer to their own cell than to any other."""
        return float((self.distance < _NEAR).mean())

    @property
    def spread(self) -> float:
        """Root mean square distance of the tokens from the middles of their cells."""
        return float(np.sqrt((self.distance**2).mean()))

    @property
    def is_sound(self) -> bool:
        """True if the tokens do fill this lattice."""
        return self.confidence >= _ENOUGH

    @property
    def sure(self) -> np.ndarray:
        """True for each token that can be in no other cell."""
        return self.distance < (1.0 if self.confidence >= _ALMOST_ALL else _NEAR)


def fit_lattice(
    position: Float[np.ndarray, "axis token"], maps: Collection[tuple[int, ...]] = ()
) -> Lattice | None:
    """Find the lattice that tokens fill, one a cell, or a part of; None if there is none.

    Args:
        position: of each token, in 0 … 1 along each axis.
        maps: shapes of maps that the model has made; tokens may be some of the cells of one.

    """
    whole = _filled(position)
    if whole is not None and position.shape[1] < _FEWEST_UNHEARD_OF and whole.shape not in maps:
        whole = None
    larger = {shape for shape in maps if prod(shape) > position.shape[1] >= _FEWEST_OF_PART}
    larger = {shape for shape in larger if len(shape) == len(position)}
    parts = [assign(position, shape) for shape in larger if _mostly_apart(position, shape)]
    found = [part for part in parts if part.spread < _SPREAD_OF_PART]
    found += [whole] if whole is not None and whole.is_sound else []
    # Scattered cells of a map may seem to fill a coarser lattice, but stand far from its middles.
    return min(found, key=lambda lattice: lattice.spread, default=whole)


def _mostly_apart(position: np.ndarray, shape: tuple[int, ...]) -> bool:
    cells, _ = _nearest(position, shape)
    return len(np.unique(cells)) >= _ENOUGH * len(cells)


def cover(
    position: Float[np.ndarray, "axis token"], maps: Collection[tuple[int, ...]]
) -> Lattice | None:
    """Find the finest map every cell of which has one of the tokens or several; None without one.

    Windows that overlap show a cell more than once.

    Args:
        position: of each token, in 0 … 1 along each axis.
        maps: shapes of maps that the model has made.

    """
    fewer = [shape for shape in maps if _FEWEST_UNHEARD_OF <= prod(shape) < position.shape[1]]
    for shape in sorted(fewer, key=prod, reverse=True):
        if len(shape) != len(position):
            continue
        _, offset = _nearest(position, shape)
        # Strided convolutions shift all cells alike.
        shift = np.median(offset, axis=1, keepdims=True) / np.array(shape)[:, None]
        cells, offset = _nearest(position - shift, shape)
        lattice = Lattice(shape, cells, np.abs(offset).max(0))
        all_near = lattice.is_sound and lattice.spread < _SPREAD_OF_PART
        if all_near and len(np.unique(cells)) == prod(shape):
            return lattice
    return None


def _nearest(position: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell nearest to each position, and how far it is from its middle, in cells."""
    size = np.array(shape)[:, None]
    scaled = position * size - 0.5
    nearest = np.clip(np.round(scaled), 0, size - 1).astype(np.int64)
    return np.asarray(np.ravel_multi_index(tuple(nearest), shape)), scaled - nearest


def _filled(position: np.ndarray) -> Lattice | None:
    """Return the lattice that as many tokens as it has cells fill best."""
    axes, tokens = position.shape
    shapes = [shape for shape in _factorisations(tokens, axes) if min(shape) > 1]
    if not shapes or np.ptp(position, axis=1).min() < 1 / tokens:
        return None
    shape = min(shapes, key=lambda shape: _misfit(position, shape))
    aligned = _aligned(position, shape)
    stretch = np.ptp(aligned, axis=1) / np.ptp(position, axis=1)
    if stretch.max() > _MOST_STRETCHED or stretch.min() < 1 / _MOST_STRETCHED:
        return None
    return assign(aligned, shape)


def assign(position: Float[np.ndarray, "axis token"], shape: tuple[int, ...]) -> Lattice:
    """Give every token a cell of its own, as near as possible to where it was measured.

    Args:
        position: of each token, in 0 … 1 along each axis.
        shape: cells along each axis, at least as many as tokens in all.

    """
    cells, offset = _nearest(position, shape)
    scaled = position * np.array(shape)[:, None] - 0.5
    _, owner, count = np.unique(cells, return_inverse=True, return_counts=True)
    crowded = np.flatnonzero(count[owner] > 1)
    if len(crowded) > _LARGEST_ASSIGNMENT:
        distance = np.abs(offset).max(0)
        distance[crowded] = np.inf
        return Lattice(shape, cells, distance)
    if len(crowded):
        free = np.setdiff1d(np.arange(prod(shape)), np.delete(cells, crowded))
        there = np.stack(np.unravel_index(free, shape))
        cost = ((scaled[:, crowded, None] - there[:, None, :]) ** 2).sum(0)
        token, cell = linear_sum_assignment(cost)
        cells[crowded[token]] = free[cell]
    placed = np.stack(np.unravel_index(cells, shape))
    return Lattice(shape, cells, np.abs(scaled - placed).max(0))


def _factorisations(tokens: int, axes: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to write a number of tokens as a product of so many sides."""
    if axes == 1:
        yield (tokens,)
        return
    for first in range(1, tokens + 1):
        if tokens % first == 0:
            for rest in _factorisations(tokens // first, axes - 1):
                yield (first, *rest)


def _misfit(position: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return how far tokens are from filling rows, and columns, of equal number; mean square."""
    error = _aligned(position, shape)
    error.sort(axis=1)
    error -= [_middles(position.shape[1], side) for side in shape]
    return float((error**2).mean())


def _aligned(position: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Shift and stretch positions so that they stand at the middles of a lattice's cells.

    Strided and padded convolutions below a site shift its cells by up to half of one, and the
    border of the input draws the outermost inwards. Along each axis the tokens, in the order of
    their positions, should stand at the middles of the cells, as many in each; the line that
    brings them there best is applied.
    """
    lines = []
    for along, side in zip(position, shape, strict=True):
        slope, offset = np.polyfit(np.sort(along), _middles(len(along), side), 1)
        lines.append(slope * along + offset)
    return np.stack(lines)


def _middles(tokens: int, side: int) -> np.ndarray:
    """Return the middles of `side` cells in 0 … 1, each as often as tokens fall to it."""
    return (np.arange(tokens) // (tokens // side) + 0.5) / side
