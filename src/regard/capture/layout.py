"""How a tensor of the model's is laid out in a record: (batch, heads, rows, columns)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from regard.capture.contraction import Contraction, fold_batch

Layout = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Folded:
    """Fold the batch axes of (*batch, rows, columns) into (batch, heads).

    Attributes:
        heads: how many heads were folded into a single batch axis.
        axis: of several batch axes, the one that is the heads, counted from the end; others may
            be windows or frames.
        repeat: how often each head is repeated, for keys and values that queries share.

    """

    heads: int = 1
    axis: int = -3
    repeat: int = 1

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the tensor in that layout; itself where it has it already."""
        tensor = tensor if self.axis == -3 else tensor.movedim(self.axis, -3)
        folded = fold_batch(tensor, self.heads)
        return folded if self.repeat == 1 else folded.repeat_interleave(self.repeat, 1)


@dataclass(frozen=True)
class Shared:
    """Repeat keys and values that several images, or several heads of queries, share.

    Attributes:
        batch, heads: how many there are of queries.

    """

    batch: int
    heads: int

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the tensor in that layout; itself where it has it already."""
        repeat = self.heads // tensor.shape[1]
        repeated = tensor if repeat == 1 else tensor.repeat_interleave(repeat, 1)
        return repeated.expand(self.batch, -1, -1, -1)


@dataclass(frozen=True)
class Matrices:
    """Lay a factor or the result of a contraction out as matrices.

    Attributes:
        contraction: the contraction.
        letters: of the tensor's axes.
        batch, rows, columns: the letters that go there.
        heads: how many heads were folded into a single batch axis.

    """

    contraction: Contraction
    letters: str
    batch: str
    rows: str
    columns: str
    heads: int = 1

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the tensor in that layout; itself where it has it already."""
        matrices = self.contraction.matrices(
            tensor, self.letters, self.batch, self.rows, self.columns
        )
        return fold_batch(matrices, self.heads)


@dataclass(frozen=True)
class AxisLast:
    """Lay scores out by moving the axis of their softmax to the end."""

    axis: int
    heads: int = 1

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the tensor in that layout; itself where it has it already."""
        last = self.axis == tensor.dim() - 1
        return fold_batch(tensor if last else tensor.movedim(self.axis, -1), self.heads)
