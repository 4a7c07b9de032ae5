"""What a target wants of an attention: the positive part of its gradient, as an operator.

The weights A enter the model by their product with the values alone, O = A·V. So the gradient of a
score with respect to A is that with respect to O times Vᵀ, and its rows can be had a block at a
time, whether the model forms A or not.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.operator import AttentionOperator, Query, select_queries
from regard.core.precision import at_least_single
from regard.core.record import AttentionRecord
from regard.core.rowwise import RowwiseOperator


@dataclass(frozen=True)
class GradientWeighted(RowwiseOperator):
    """(∇A ⊙ A)⁺, or (∇A)⁺ without the weights themselves: (batch, heads, query, key).

    Attributes:
        operator: A.
        value: V.
        gradient: of the score with respect to A·V.
        times_weights: False for (∇A)⁺.

    """

    operator: AttentionOperator
    value: Float[Tensor, "batch head key d"]
    gradient: Float[Tensor, "batch head query d"]
    times_weights: bool = True

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        return self.operator.shape

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.operator.device

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""
        gradient = at_least_single(select_queries(self.gradient, query))
        wanted = gradient @ at_least_single(self.value).mT
        if self.times_weights:
            wanted = wanted * self.operator.rows(query)
        return wanted.clamp(min=0)

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values, a block of rows at a time."""
        return torch.cat([rows @ values.to(rows.dtype) for _, rows in self.row_blocks()], 2)

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance, a block of rows at a time."""
        parts = (
            rows.mT @ relevance[..., block, :].to(rows.dtype) for block, rows in self.row_blocks()
        )
        first = next(parts)
        return sum(parts, start=first)


def gradient_weighted(
    record: AttentionRecord,
    gradient: Float[Tensor, "batch head query d"],
    *,
    times_weights: bool = True,
) -> AttentionRecord:
    """Return a record whose operator is weighted by the gradient of its output.

    Args:
        record: with its values kept.
        gradient: of the score with respect to the record's output.
        times_weights: False for (∇A)⁺.

    """
    value = record.tensors.value.detach()
    value = value.expand(*record.operator.shape[:2], -1, -1)
    operator = GradientWeighted(record.operator, value, gradient, times_weights)
    return replace(record, _operator=operator)


def wanted_attention(
    record: AttentionRecord, gradient: Float[Tensor, "batch head query d"]
) -> AttentionOperator:
    """Return Ā = E_h[(∇A ⊙ A)⁺], over the whole image: (batch, 1, query, key).

    Chefer, Gur & Wolf 2021 (arXiv 2103.15679), equation 5.
    """
    return gradient_weighted(record, gradient).whole_operator.head_mean()
