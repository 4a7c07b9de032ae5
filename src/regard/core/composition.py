"""Operators made of operators: products in a row, weighted sums, normalised rows."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.errors import InputError
from regard.core.operator import AttentionOperator, Query, select_queries
from regard.core.rowwise import RowwiseOperator

# What sums of float32 weights may be off 1.
_ROUNDING = 1e-6


def _common_batch(operators: tuple[AttentionOperator, ...]) -> tuple[int, int]:
    """Return the batch and heads that operators share; those with 1 go with any number.

    Raises:
        InputError: they differ.

    """
    try:
        return torch.broadcast_shapes(*(operator.shape[:2] for operator in operators))  # type: ignore[return-value]
    except RuntimeError:
        shapes = ", ".join(str(operator.shape) for operator in operators)
        raise InputError(
            f"operators of shapes {shapes} differ in batch or heads; take operators of the same "
            "images, and their head_mean() where their heads differ"
        ) from None


@dataclass(frozen=True)
class Chain(RowwiseOperator):
    """The product of operators, leftmost first: the last layer of a network comes first.

    Attributes:
        operators: at least one; each has as many keys as the next has queries.

    """

    operators: tuple[AttentionOperator, ...]

    def __post_init__(self) -> None:
        """Check that the operators can follow each other.

        Raises:
            InputError: there is none, or two do not fit.

        """
        if not self.operators:
            raise InputError("a chain needs at least one operator")
        _common_batch(self.operators)
        for left, right in zip(self.operators, self.operators[1:], strict=False):
            if left.shape[3] != right.shape[2]:
                raise InputError(
                    f"an operator with {left.shape[3]} keys cannot follow one with "
                    f"{right.shape[2]} queries; put resampling(...) between them"
                )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        batch, heads = _common_batch(self.operators)
        return batch, heads, self.operators[0].shape[2], self.operators[-1].shape[3]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.operators[0].device

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]: the first operator's rows, multiplied through the others."""
        first, *others = self.operators
        rows = first.rows(query)
        rows = rows.expand(*self.shape[:2], -1, -1).mT
        for operator in others:
            rows = operator.rmatvec(rows)
        return rows.mT

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        for operator in reversed(self.operators):
            values = operator.matvec(values)
        return values

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        for operator in self.operators:
            relevance = operator.rmatvec(relevance)
        return relevance

    def row_sums(self) -> Float[Tensor, "batch head query 1"]:
        """Return what each row sums to, without a product where rows to the right sum to 1."""
        *others, last = self.operators
        sums = last.row_sums()
        for operator in reversed(others):
            ones = bool(((sums - 1).abs() <= _ROUNDING).all())
            together = sums.expand(*self.shape[:2], -1, -1)
            sums = operator.row_sums() if ones else operator.matvec(together)
        return sums.expand(*self.shape[:2], -1, -1)


@dataclass(frozen=True)
class WeightedSum(RowwiseOperator):
    """The weighted sum of operators of the same size.

    Attributes:
        operators: at least one, all with as many queries and keys.
        weights: one for each.

    """

    operators: tuple[AttentionOperator, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that the operators can be added.

        Raises:
            InputError: there is none, or their sizes differ, or there are more or fewer weights.

        """
        sizes = {operator.shape[2:] for operator in self.operators}
        if len(sizes) != 1 or len(self.weights) != len(self.operators):
            raise InputError(
                f"got {len(self.operators)} operators of sizes {sorted(sizes)} and "
                f"{len(self.weights)} weights; a sum needs operators of one size, one weight each"
            )
        _common_batch(self.operators)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        batch, heads = _common_batch(self.operators)
        return batch, heads, *self.operators[0].shape[2:]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.operators[0].device

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""
        return self._sum([operator.rows(query) for operator in self.operators])

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        return self._sum([operator.matvec(values) for operator in self.operators])

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        return self._sum([operator.rmatvec(relevance) for operator in self.operators])

    def row_sums(self) -> Float[Tensor, "batch head query 1"]:
        """Return what each row sums to."""
        sums = self._sum([operator.row_sums() for operator in self.operators])
        return sums.expand(*self.shape[:2], -1, -1)

    def _sum(self, parts: list[Tensor]) -> Tensor:
        first, *others = (part * weight for part, weight in zip(parts, self.weights, strict=True))
        return sum(others, start=first)


@dataclass(frozen=True)
class Normalised(RowwiseOperator):
    """An operator with each row divided by its sum; rows that sum to 0 stay as they are.

    Attributes:
        operator: any.

    """

    operator: AttentionOperator

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        return self.operator.shape

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.operator.device

    @cached_property
    def _divisors(self) -> Float[Tensor, "batch head query 1"]:
        sums = self.operator.row_sums()
        return sums.masked_fill(sums == 0, 1.0)

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""
        rows = self.operator.rows(query)
        return rows / select_queries(self._divisors, query).to(rows.dtype)

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        product = self.operator.matvec(values)
        return product / self._divisors.to(product.dtype)

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        return self.operator.rmatvec(relevance / self._divisors.to(relevance.dtype))


def residual(
    attention: AttentionOperator, shortcut: AttentionOperator, share: float = 0.5
) -> Normalised:
    """Return an attention layer with its shortcut, as rollout has it: rows of ½A + ½I, normalised.

    Abnar & Zuidema 2020 (arXiv 2005.00928), section 3: the head mean of A, mixed with the identity
    for the residual connection, then row-normalised.

    Args:
        attention: A, of any number of heads.
        shortcut: I, or the resampling that the shortcut passes through.
        share: of the shortcut.

    Raises:
        InputError: `share` is not in [0, 1], or A and I differ in size.

    """
    if not 0 <= share <= 1:
        raise InputError(f"the shortcut's share is {share}; it must be between 0 and 1")
    return Normalised(WeightedSum((attention.head_mean(), shortcut), (1 - share, share)))
