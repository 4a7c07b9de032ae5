"""Products of two tensors that sum over shared axes, whichever way they are spelled.

`matmul`, `bmm`, `einsum`, `linear` and 1×1 convolutions are all read as one letter an axis, like
an einsum; the factors and the result can then be laid out as matrices of
(batch, heads, rows, columns).
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from torch import Tensor

Side = Literal["left", "right"]


def opposite(side: Side) -> Side:
    """Return the other of the two factors."""
    return "right" if side == "left" else "left"


@dataclass(frozen=True)
class MatrixAxes:
    """Which letters play which part when one factor is read as the weights of an attention.

    `result[batch, query, width] = Σ_key weights[batch, query, key] · value[batch, key, width]`
    """

    batch: str
    query: str
    key: str
    width: str


@dataclass(frozen=True)
class Contraction:
    """The letters of the axes of two factors and of their product.

    Attributes:
        left, right, result: one letter an axis.
        sizes: the length of each axis.

    """

    left: str
    right: str
    result: str
    sizes: Mapping[str, int]

    def letters(self, side: Side) -> str:
        """Return the letters of one factor."""
        return self.left if side == "left" else self.right

    @property
    def summed(self) -> str:
        """The letters that both factors have and the result has not."""
        return "".join(a for a in self.left if a in self.right and a not in self.result)

    def summed_axes(self, side: Side) -> frozenset[int]:
        """Return which axes of a factor are summed over."""
        letters = self.letters(side)
        return frozenset(letters.index(a) for a in self.summed)

    def own_axis(self, side: Side) -> int | None:
        """Return the axis of the result that only this factor has; None if not exactly one."""
        other = self.letters(opposite(side))
        own = [a for a in self.letters(side) if a not in other]
        own = own or [a for a in self.letters(side)[-2:] if a in self.result and a not in other]
        return self.result.index(own[-1]) if own else None

    def matrix_axes(self, weights: Side, heads: int) -> MatrixAxes:
        """Read one factor as the weights and the other as the values.

        Args:
            weights: which factor.
            heads: how many the module says it has. Of several batch axes, theirs comes last.

        """
        mine = self.letters(weights)
        theirs = self.letters(opposite(weights))
        key = "".join(a for a in mine if a in self.summed)
        batch = "".join(a for a in mine if a in theirs and a not in key)
        query = "".join(a for a in mine if a not in theirs)
        width = "".join(a for a in theirs if a not in mine)
        if not batch:  # the values have no batch, as a learned memory: (batch, …, query) @ (key, d)
            batch, query = query[:-1], query[-1:]
        if len(batch) > 2:
            of_heads = batch[heads_axis([self.sizes[a] for a in batch], heads)]
            batch = batch.replace(of_heads, "") + of_heads
        return MatrixAxes(batch, query, key, width)

    def matrices(self, tensor: Tensor, letters: str, batch: str, rows: str, columns: str) -> Tensor:
        """Lay a factor or the result out as (*batch, rows, columns); itself if it is so."""
        have = [a for a in (*batch, *rows, *columns) if a in letters]
        order = [letters.index(a) for a in have]
        laid = tensor if order == list(range(tensor.dim())) else tensor.permute(order)
        for axis, a in enumerate(batch):
            if a not in letters:
                laid = laid.unsqueeze(axis)
        sizes = [self.sizes[a] for a in batch]
        if list(laid.shape[: len(batch)]) != sizes:
            laid = laid.expand(*sizes, *laid.shape[len(batch) :])
        shape = (*sizes, prod(self.sizes[a] for a in rows), prod(self.sizes[a] for a in columns))
        return laid if laid.shape == shape else laid.reshape(shape)


def heads_axis(batch: Sequence[int], heads: int) -> int:
    """Return which of several batch axes is the heads, counted from the end.

    (batch, heads, window, query, d) is as usual as (batch, window, heads, query, d): the number of
    heads decides, and where that fits several axes, or none, the last.

    Args:
        batch: the lengths of the batch axes; the first is never the heads where there are others.
        heads: how many the module says it has.

    """
    fitting = [axis for axis in range(-1, -len(batch), -1) if batch[axis] == heads]
    return fitting[0] if fitting else -1


def fold_batch(matrices: Tensor, heads: int = 1) -> Tensor:
    """Lay (*batch, rows, columns) out as (batch, heads, rows, columns).

    Args:
        matrices: with any number of batch axes; of two or more, the last is the heads.
        heads: how many heads were folded into a single batch axis, heads running fastest.

    """
    batch = matrices.shape[:-2]
    if len(batch) == 2:
        return matrices
    if len(batch) > 2:
        return matrices.flatten(0, len(batch) - 2)
    if not batch:
        return matrices[None, None]
    if heads > 1 and batch[0] % heads == 0:
        return matrices.unflatten(0, (batch[0] // heads, heads))
    return matrices.unsqueeze(1)


def contraction_of(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Contraction] | None:
    """Read a call as a contraction of two tensors, or return None if it is none.

    Args:
        name: the function's bare name (`matmul`, `einsum`, …).
        args: what it was called with.
        kwargs: likewise, by name.

    """
    if name == "einsum":
        return _einsum(args)
    if name in {"baddbmm", "addmm", "addbmm"}:
        args = args[1:]
    named = [kwargs[key] for key in _FACTOR_NAMES if key in kwargs]
    factors = [*args, *named][:2]
    if len(factors) < 2 or not all(isinstance(x, Tensor) for x in factors):
        return None
    left, right = factors
    if name == "__rmatmul__":
        left, right = right, left
    if name in {"linear", "conv1d", "conv2d"}:
        return _layer(name, left, right, args, kwargs)
    if left.dim() < 2 or right.dim() < 2:
        return None
    return _matmul(left, right)


_FACTOR_NAMES = ("input", "batch1", "mat1", "mat2", "batch2", "other", "tensor2", "weight")


def _sizes(left: Tensor, left_letters: str, right: Tensor, right_letters: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for tensor, letters in ((left, left_letters), (right, right_letters)):
        for a, size in zip(letters, tensor.shape, strict=True):
            sizes[a] = max(size, sizes.get(a, size))
    return sizes


def _matmul(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Contraction]:
    batch = string.ascii_uppercase[: max(left.dim(), right.dim()) - 2]
    left_letters = batch[len(batch) - left.dim() + 2 :] + "ij"
    right_letters = batch[len(batch) - right.dim() + 2 :] + "jk"
    sizes = _sizes(left, left_letters, right, right_letters)
    return left, right, Contraction(left_letters, right_letters, batch + "ik", sizes)


def _layer(
    name: str, x: Tensor, weight: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Contraction] | None:
    """A linear layer or a 1×1 convolution without bias, read as x times a learned matrix."""
    bias = args[2] if len(args) > 2 else kwargs.get("bias")
    if bias is not None or weight.dim() < 2:
        return None
    letters = string.ascii_uppercase[: x.dim() - 1]
    if name == "linear":
        sizes = _sizes(x, letters + "j", weight, "kj")
        return x, weight, Contraction(letters + "j", "kj", letters + "k", sizes)
    options = [*args[3:], *(v for k, v in kwargs.items() if k in {"stride", "padding", "groups"})]
    plain = all(o in (1, 0, (1,), (0,), (1, 1), (0, 0)) for o in options)
    if not plain or prod(weight.shape[2:]) != 1 or weight.shape[1] != x.shape[1]:
        return None
    matrix = weight.flatten(1)
    batch, space = letters[0], letters[1:]
    left_letters = f"{batch}j{space}"
    sizes = _sizes(x, left_letters, matrix, "kj")
    return x, matrix, Contraction(left_letters, "kj", f"{batch}k{space}", sizes)


def _einsum(args: Sequence[Any]) -> tuple[Tensor, Tensor, Contraction] | None:
    """An einsum of two tensors, if each letter occurs once in each of them."""
    if not args or not isinstance(args[0], str):
        return None
    operands = args[1] if isinstance(args[1], (list, tuple)) else args[1:]
    inputs, arrow, result = args[0].replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != 2 or len(operands) != 2 or not arrow:
        return None
    left, right = operands
    spare = [a for a in string.ascii_letters if a not in args[0]]
    dots = max(
        x.dim() - len(t.replace("...", "")) if "..." in t else 0
        for x, t in zip((left, right), terms, strict=True)
    )
    left_letters, right_letters = (
        _without_dots(t, spare[:dots], x.dim()) for x, t in zip((left, right), terms, strict=True)
    )
    result = result.replace("...", "".join(spare[:dots]))
    for letters in (left_letters, right_letters, result):
        if len(set(letters)) != len(letters):
            return None
    lost = (set(left_letters) ^ set(right_letters)) - set(result)
    if lost:
        return None
    sizes = _sizes(left, left_letters, right, right_letters)
    return left, right, Contraction(left_letters, right_letters, result, sizes)


def _without_dots(term: str, dots: Sequence[str], dim: int) -> str:
    """Replace `...` by letters; a factor with fewer axes under the dots has the last of them."""
    if "..." not in term:
        return term
    count = dim - len(term.replace("...", ""))
    return term.replace("...", "".join(dots[len(dots) - count :]))
