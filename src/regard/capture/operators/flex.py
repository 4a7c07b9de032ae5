"""Softmax attention whose scores a function changes, as `flex_attention` has it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from regard.capture.operators.query_key import QueryKeyOperator, softmax_rows
from regard.core.operator import Query, select_queries
from regard.core.precision import at_least_single

Modify = Callable[..., Tensor]


@dataclass(frozen=True)
class FlexOperator(QueryKeyOperator):
    """Attention recomputed from queries, keys and the model's own functions of the scores.

    Products run over blocks of rows. Half precision is computed with in float32.

    Attributes:
        query: (batch, heads, query, d).
        key: (batch, heads, key, d).
        modify: (score, batch, head, query, key) -> score, numbers all of them.
        allowed: (batch, head, query, key) -> True where the key may be seen.
        scale: what the products are multiplied with.

    """

    modify: Modify
    allowed: Modify
    scale: float = 1.0

    def scores(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return what goes into the softmax; −∞ for a key that may not be seen."""
        q = at_least_single(select_queries(self.query, query))
        products = q @ at_least_single(self.key).mT * self.scale
        batch, heads, queries, keys = (torch.arange(n, device=self.device) for n in self.shape)
        queries = select_queries(queries[:, None], query)[:, 0]
        with _IndexByTensor():
            scores = _for_each(self.modify, 1)(products, batch, heads, queries, keys)
            allowed = _for_each(self.allowed, 0)(batch, heads, queries, keys)
        return torch.where(allowed, scores, -torch.inf)

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]; of zeros for a query that may see no key at all."""
        return softmax_rows(self.scores(query))

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        return torch.cat([rows @ values.to(rows.dtype) for _, rows in self.row_blocks()], 2)

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        first, *others = (
            rows.mT @ relevance[..., block, :].to(rows.dtype) for block, rows in self.row_blocks()
        )
        return sum(others, start=first)


def _for_each(function: Modify, scores: int) -> Modify:
    """Return a function of numbers as one of all pairs of queries and keys, batch and head.

    Args:
        function: of some scores, and of batch, head, query and key.
        scores: how many scores it takes: tensors of (batch, head, query, key).

    """
    for axis in reversed(range(4)):
        of_indices = tuple(0 if axis == other else None for other in range(4))
        function = torch.vmap(function, in_dims=(0,) * scores + of_indices)
    return function


class _IndexByTensor(TorchFunctionMode):
    """Look up `bias[head]` by tensor: under vmap an index has no number of its own."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.__getitem__:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if all(isinstance(i, Tensor) for i in index):
                return torch.ops.aten.index(args[0], list(index))
        return func(*args, **(kwargs or {}))
