"""Where tokens lie on the input."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from regard.core.errors import InputError

Places = Int[np.ndarray, "group token"]
"""The cell of every token, (frame · rows + row) · cols + col; −1 for a token without a place."""

NO_PLACE = -1


@dataclass(frozen=True, eq=False)
class Grid:
    """A lattice of cells over the input, and the cell of every token.

    Attention within windows folds them into the batch: such a grid has several groups, and a
    token is told by its group and its number in it. Without `places` there is one group, and
    token `prefix + row · cols + col` is the cell at (row, col), frame after frame.

    Attributes:
        rows: cells from top to bottom (of a spectrogram: along its first axis).
        cols: cells from left to right.
        prefix: tokens of each group before the first that has a place (class token, registers,
            distillation token).
        cell: height and width of a cell in input pixels, where the input's size is known.
        frames: cells in time; 1 for images.
        places: (group, token), the cell of each, or −1; None for the regular order above.
        heads_are_groups: True where each head of the operator is a window of its own, as some
            networks have it; group = batch entry · heads + head.

    """

    rows: int
    cols: int
    prefix: int = 0
    cell: tuple[float, float] | None = None
    frames: int = 1
    places: Places | None = None
    heads_are_groups: bool = False

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self.frames * self.rows * self.cols

    @property
    def groups(self) -> int:
        """How many groups (windows) the tokens come in."""
        return 1 if self.places is None else self.places.shape[0]

    @property
    def tokens(self) -> int:
        """How many tokens each group has, those without a place included."""
        return self.prefix + self.cells if self.places is None else self.places.shape[1]

    @property
    def is_regular(self) -> bool:
        """True if the tokens of one group lie row by row after the prefix."""
        return self.places is None

    @cached_property
    def table(self) -> Places:
        """The cell of every token, (group, token), also where `places` is None."""
        if self.places is not None:
            return self.places
        before = np.full(self.prefix, NO_PLACE, dtype=np.int64)
        return np.concatenate([before, np.arange(self.cells)])[None]

    @cached_property
    def placed(self) -> int:
        """How many tokens have a place, over all groups."""
        return int((self.table != NO_PLACE).sum())

    def simplified(self) -> "Grid":
        """Return the same grid without `places`, if its order is the regular one."""
        plain = replace(self, places=None)
        same = self.tokens == plain.tokens and np.array_equal(self.table, plain.table)
        return plain if same else self

    def fits(self, batch: int, heads: int, tokens: int) -> bool:
        """Return True if these can be the queries, or keys, of an operator of so many."""
        windows = batch * heads if self.heads_are_groups else batch
        return self.tokens == tokens and windows % self.groups == 0

    def index(self, row: int, col: int) -> int:
        """Return the token at (row, col) of the first frame.

        Raises:
            InputError: there is no such cell, or no token lies there, or the tokens come in
                several groups (then `find` tells the group too).

        """
        if self.groups > 1:
            raise InputError(
                f"the tokens of this grid come in {self.groups} groups (windows); ask "
                "find(row, col), which returns the group and the token"
            )
        return self.find(row, col)[1]

    def find(self, row: int, col: int, frame: int = 0) -> tuple[int, int]:
        """Return (group, token) of the first token at a cell.

        Raises:
            InputError: there is no such cell, or no token lies there.

        """
        inside = 0 <= row < self.rows and 0 <= col < self.cols and 0 <= frame < self.frames
        where = f"cell (row {row}, col {col})" + (f" of frame {frame}" if self.frames > 1 else "")
        if not inside:
            size = f"{self.rows}×{self.cols} cells"
            size += f" and {self.frames} frames" if self.frames > 1 else ""
            raise InputError(f"{where} is outside the grid of {size}")
        wanted = (frame * self.rows + row) * self.cols + col
        group, token = np.nonzero(self.table == wanted)
        if not len(token):
            raise InputError(f"no token lies at {where} of this grid")
        return int(group[0]), int(token[0])

    def position(self, token: int, group: int = 0) -> tuple[int, int] | None:
        """Return (row, col) of a token, or None if it has no place.

        Raises:
            InputError: there is no such token.

        """
        cell = self._cell_of(token, group)
        return None if cell == NO_PLACE else divmod(cell % (self.rows * self.cols), self.cols)

    def frame(self, token: int, group: int = 0) -> int | None:
        """Return the frame of a token, or None if it has no place.

        Raises:
            InputError: there is no such token.

        """
        cell = self._cell_of(token, group)
        return None if cell == NO_PLACE else cell // (self.rows * self.cols)

    def box(self, token: int, group: int = 0) -> tuple[float, float, float, float] | None:
        """Return the input pixels that a token covers, xyxy, or None if it has no place.

        Raises:
            InputError: there is no such token, or the size of the cells is not known.

        """
        if self.cell is None:
            raise InputError("the cells of this grid have no known size in pixels")
        position = self.position(token, group)
        if position is None:
            return None
        (row, col), (height, width) = position, self.cell
        return (col * width, row * height, (col + 1) * width, (row + 1) * height)

    def _cell_of(self, token: int, group: int) -> int:
        if not 0 <= token < self.tokens:
            raise InputError(f"token {token} does not exist: the grid has {self.tokens} tokens")
        if not 0 <= group < self.groups:
            raise InputError(f"group {group} does not exist: the grid has {self.groups} groups")
        return int(self.table[group, token])

    def to_map(self, values: Tensor) -> Tensor:
        """Lay per-token values out on the grid, leaving out tokens without a place.

        Args:
            values: (…, token), or (…, group, token) where the tokens come in several groups.

        Returns:
            (…, row, col), or (…, frame, row, col) where there are several frames. Of several
            tokens in one cell the mean; NaN in a cell without a token.

        """
        self._check(values)
        shape = (self.rows, self.cols) if self.frames == 1 else (self.frames, self.rows, self.cols)
        if self.places is None:
            return values[..., self.prefix :].unflatten(-1, shape)
        flat = values.flatten(-2) if self.groups > 1 else values
        where = torch.from_numpy(self.table.reshape(-1)).to(values.device)
        has_place = where != NO_PLACE
        where, flat = where[has_place], flat[..., has_place]
        count = torch.bincount(where, minlength=self.cells)
        total = flat.new_zeros(*flat.shape[:-1], self.cells).index_add(-1, where, flat)
        mean = (total / count).masked_fill(count == 0, torch.nan)
        return mean.unflatten(-1, shape)

    def from_map(self, values: Tensor) -> Tensor:
        """Return each token's value from a map: the reverse of `to_map`, 0 without a place.

        Args:
            values: (…, row, col), or (…, frame, row, col) where there are several frames.

        Returns:
            (…, token), or (…, group, token) where the tokens come in several groups.

        """
        axes = 2 if self.frames == 1 else 3
        shape = (self.frames, self.rows, self.cols)[-axes:]
        if tuple(values.shape[-axes:]) != shape:
            raise InputError(
                f"got a map of {tuple(values.shape)} for a grid of {'×'.join(map(str, shape))}"
            )
        table = torch.from_numpy(self.table).to(values.device)
        table = table if self.groups > 1 else table[0]
        found = values.flatten(-axes)[..., table.clamp(min=0)]
        return found.masked_fill(table == NO_PLACE, 0)

    def _check(self, values: Tensor) -> None:
        expected = (self.tokens,) if self.groups == 1 else (self.groups, self.tokens)
        if tuple(values.shape[-len(expected) :]) == expected:
            return
        if self.groups == 1:
            raise InputError(
                f"got {values.shape[-1]} values for the {self.tokens} tokens of a "
                f"{self.rows}×{self.cols} grid with {self.prefix} prefix tokens"
            )
        raise InputError(
            f"got values of {tuple(values.shape)} for {self.groups} groups of {self.tokens} "
            "tokens; give (…, group, token)"
        )

    def __eq__(self, other: object) -> bool:
        """Compare the lattice, and where every token lies on it."""
        if not isinstance(other, Grid):
            return NotImplemented
        mine, theirs = (
            (g.rows, g.cols, g.prefix, g.cell, g.frames, g.heads_are_groups) for g in (self, other)
        )
        return mine == theirs and np.array_equal(self.table, other.table)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash((self.rows, self.cols, self.prefix, self.cell, self.frames, self.tokens))
