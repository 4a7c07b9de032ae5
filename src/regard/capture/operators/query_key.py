"""What operators that are made of queries and keys have in common."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.rowwise import RowwiseOperator


@dataclass(frozen=True)
class QueryKeyOperator(RowwiseOperator):
    """Attention that follows from queries and keys.

    Attributes:
        query: (batch, heads, query, d).
        key: (batch, heads, key, d).

    """

    query: Tensor
    key: Tensor

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        batch, heads, query, _ = self.query.shape
        return batch, heads, query, self.key.shape[2]

    @property
    def device(self) -> torch.device:
        """Where queries and keys are."""
        return self.query.device


def softmax_rows(
    scores: Float[Tensor, "batch head some key"],
) -> Float[Tensor, "batch head some key"]:
    """Return softmax rows; of zeros for a query that may see no key at all (scores of −∞)."""
    blind = (scores == -torch.inf).all(-1, keepdim=True)
    # Filled before as well as after: a softmax of −∞ alone has no gradient but NaN.
    return scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
