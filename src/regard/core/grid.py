"""Where tokens lie on the input."""

from dataclasses import dataclass

from torch import Tensor

from regard.core.errors import InputError


@dataclass(frozen=True)
class Grid:
    """A lattice of cells over the input, after some prefix tokens that have no place.

    Token `prefix + row * cols + col` is the cell at (row, col).

    Attributes:
        rows: cells from top to bottom.
        cols: cells from left to right.
        prefix: tokens before the first cell (class token, registers, distillation token).
        cell: height and width of a cell in input pixels, where the input's size is known.

    """

    rows: int
    cols: int
    prefix: int = 0
    cell: tuple[float, float] | None = None

    @property
    def cells(self) -> int:
        """How many tokens have a place."""
        return self.rows * self.cols

    @property
    def tokens(self) -> int:
        """How many tokens there are, prefix included."""
        return self.prefix + self.cells

    def index(self, row: int, col: int) -> int:
        """Return the token at (row, col)."""
        if not (0 <= row < self.rows and 0 <= col < self.cols):
            raise InputError(
                f"cell (row {row}, col {col}) is outside the grid of {self.rows}×{self.cols} cells"
            )
        return self.prefix + row * self.cols + col

    def position(self, token: int) -> tuple[int, int] | None:
        """Return (row, col) of a token, or None for a prefix token."""
        if not 0 <= token < self.tokens:
            raise InputError(f"token {token} does not exist: the grid has {self.tokens} tokens")
        if token < self.prefix:
            return None
        return divmod(token - self.prefix, self.cols)

    def to_map(self, values: Tensor) -> Tensor:
        """Lay per-token values out on the grid, leaving the prefix out.

        Args:
            values: (..., token).

        Returns:
            (..., rows, cols).

        """
        if values.shape[-1] != self.tokens:
            raise InputError(
                f"got {values.shape[-1]} values for the {self.tokens} tokens of a "
                f"{self.rows}×{self.cols} grid with {self.prefix} prefix tokens"
            )
        return values[..., self.prefix :].unflatten(-1, (self.rows, self.cols))
