"""From how strongly tokens moved to the grid that they lie on.

Several readings are tried, the strictest first: a lattice that the tokens fill, one a cell; what
their number suggests, or what was plain to see at another site, if the tokens move as it says; and
a map that they cover, several in a cell, as where windows overlap.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from regard.capture.lattice import Lattice, cover, fit_lattice
from regard.capture.replay import Moved
from regard.capture.structured_light import PERIODS, PHASES, Reading, likeness, read
from regard.core.grid import NO_PLACE, Grid

# Likeness of what tokens do to what they should: plain to see, or likely.
PLAIN = 0.97
LIKELY = 0.5
# The likeness, the contrast, and the confidence in a lattice, below which more light does not help.
_HOPEFUL_LIKENESS = 0.8
_HOPEFUL_CONTRAST = 0.9
_HOPEFUL = 0.4
# Contrast that heads by themselves have above that of all together, where they are windows.
_PLAINER = 0.5
# Tokens, without which no lattice can be told.
_FEWEST = 4

Movement = Float[np.ndarray, "axis period quarter group token"]


class Surroundings(NamedTuple):
    """What is known besides the movement of the tokens of one side of a site.

    Attributes:
        lit: length along each axis of what the patterns were put on.
        image: height and width of the model's input, in pixels (frames first).
        maps: shapes of the maps that the model makes.
        expected: the grid that the number of tokens suggests.
        plain: grids of other sites, where they were plain to see.

    """

    lit: tuple[int, ...]
    image: tuple[int, ...]
    maps: frozenset[tuple[int, ...]]
    expected: Grid | None = None
    plain: Collection[Grid] = ()


class Side(NamedTuple):
    """What is known of one side of a site.

    Attributes:
        grid: where its tokens lie.
        sure: True if there is nothing more to find: the grid, or that there is none.
        hopeful: True if more light could tell more.

    """

    grid: Grid | None
    sure: bool
    hopeful: bool = False

    @property
    def unclear(self) -> bool:
        """True for tokens that have places which could not be told."""
        return self.grid is None and not self.sure


def placed(moved: Moved, around: Surroundings) -> Side:
    """Return where the tokens lie whose queries or keys moved like that.

    Heads are taken together. Only where that leads nowhere is each looked at alone: windows may
    be where heads usually are.
    """
    shape = (len(around.lit), len(PERIODS), PHASES)
    together = moved.sum(-2).unflatten(0, shape).numpy()
    side = _placed(together, around)
    if (side.sure and side.grid is not None) or moved.shape[-2] == 1:
        return side
    apart = moved.flatten(1, 2).unflatten(0, shape).numpy()
    if read(apart, around.lit).usual < read(together, around.lit).usual + _PLAINER:
        return side
    by_heads = _placed(apart, around)
    if by_heads.grid is None or not by_heads.sure:
        return Side(None, sure=False, hopeful=True)
    return by_heads._replace(grid=replace(by_heads.grid, heads_are_groups=True))


def agreement(moved: Moved | None, grid: Grid | None) -> float:
    """Return how well tokens moved under two halves an axis as they would on a grid."""
    if moved is None or grid is None:
        return 0.0
    moved = moved.flatten(1, 2) if grid.heads_are_groups else moved.sum(-2).flatten(1)
    return _likeness(moved.flatten(1).unflatten(0, (-1, 2)).numpy(), grid)


def _placed(movement: Movement, around: Surroundings) -> Side:
    reading = read(movement, around.lit)
    if reading.has_place.sum() < _FEWEST:
        return Side(None, sure=True)
    lattice = fit_lattice(reading.position[:, reading.has_place], around.maps)
    grid = _sound(reading.has_place, lattice, around)
    if grid is not None and grid.placed == reading.has_place.sum():
        return Side(_completed(grid, around.expected), sure=True)
    like = _alike(movement[:, 0, ::2], around)
    other = like.grid if like.sure else _filled_or_covered(reading, around)
    if other is not None:
        return Side(other, sure=True)
    near = lattice is not None and lattice.confidence >= _HOPEFUL
    hopeful = near or like.hopeful or reading.usual >= _HOPEFUL_CONTRAST
    return Side(grid, sure=False, hopeful=hopeful)


def _sound(
    tokens: Bool[np.ndarray, "group token"], lattice: Lattice | None, around: Surroundings
) -> Grid | None:
    """Return the grid of tokens on a lattice, if there is one and it is sound."""
    if lattice is None or not lattice.is_sound:
        return None
    return place(tokens, lattice, around.image)


def _completed(grid: Grid, expected: Grid | None) -> Grid:
    """Return the expected grid instead, if all tokens that were placed are where it says.

    Those that stand for hidden patches do not move at all.
    """
    if expected is None or expected.table.shape != grid.table.shape:
        return grid
    same_lattice = (grid.rows, grid.cols, grid.frames) == (expected.rows, expected.cols, 1)
    where = grid.table != NO_PLACE
    return expected if same_lattice and (grid.table == expected.table)[where].all() else grid


def _filled_or_covered(reading: Reading, around: Surroundings) -> Grid | None:
    """Return the grid of the plainest tokens alone, or of tokens that cover a map.

    Class tokens of several windows may stand among the others.
    """
    plainest = reading.follows_plainly
    if _FEWEST <= plainest.sum() < reading.has_place.sum():
        lattice = fit_lattice(reading.position[:, plainest], around.maps)
        grid = _sound(plainest, lattice, around)
        if grid is not None and grid.placed == plainest.sum() == grid.cells:
            return grid
    maps = around.maps | {around.lit}
    covered = cover(reading.position[:, reading.has_place], maps)
    return _sound(reading.has_place, covered, around)


def _alike(halves: Float[np.ndarray, "axis half group token"], around: Surroundings) -> Side:
    """Return the layout that is expected, or that of other sites, if these tokens move like it.

    Only where there is one such layout of so many tokens: between a window and a shifted one, the
    coarse likeness does not decide.
    """
    groups, tokens = halves.shape[2:]
    flat = halves.reshape(*halves.shape[:2], -1)
    if len(halves) != 2:
        return Side(None, sure=False)
    fitting = [grid for grid in around.plain if (grid.groups, grid.tokens) == (groups, tokens)]
    one_layout = bool(fitting) and all(grid == fitting[0] for grid in fitting)
    if one_layout and _likeness(flat, fitting[0]) >= LIKELY:
        return Side(fitting[0], sure=True)
    likely = 0.0 if around.expected is None else _likeness(flat, around.expected)
    if likely >= PLAIN:
        return Side(around.expected, sure=True)
    return Side(None, sure=False, hopeful=likely >= _HOPEFUL_LIKENESS)


def _likeness(movement: Float[np.ndarray, "axis half token"], grid: Grid) -> float:
    where, position = positions(grid)
    return likeness(movement[..., where], position) if movement.shape[-1] == len(where) else 0.0


def positions(
    grid: Grid,
) -> tuple[Bool[np.ndarray, " token"], Float[np.ndarray, "axis placed"]]:
    """Return which tokens have a place, group after group, and it in 0 … 1 along each axis."""
    cells = grid.table.flatten()
    where = cells != NO_PLACE
    rows, cols = np.divmod(cells[where] % (grid.rows * grid.cols), grid.cols)
    return where, np.stack([(rows + 0.5) / grid.rows, (cols + 0.5) / grid.cols])


def place(
    somewhere: Bool[np.ndarray, "group token"], lattice: Lattice, image: tuple[int, ...]
) -> Grid:
    """Return the grid of tokens that lie on a lattice.

    Args:
        somewhere: True for each token that has a place.
        lattice: of those.
        image: length of the model's input along the patterns' axes, in pixels.

    """
    table = np.full(somewhere.shape, NO_PLACE, dtype=np.int64)
    table[somewhere] = np.where(lattice.sure, lattice.cells, NO_PLACE)
    *frames, rows, cols = lattice.shape
    return Grid(
        rows,
        cols,
        prefix=int(somewhere.any(0).argmax()),
        cell=(image[-2] / rows, image[-1] / cols),
        frames=frames[0] if frames else 1,
        places=table,
    ).simplified()
