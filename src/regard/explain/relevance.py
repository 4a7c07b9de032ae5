"""Relevance that attention brings through several layers, as an operator.

Chefer, Gur & Wolf 2021 (arXiv 2103.15679), equation 6: R ← R + Ā·R for each layer, from R = 1. What
the shortcuts carry alone (that 1, where all layers have the same tokens) and what attention brings
beside it, R − 1, are told apart: the first is the same whatever the model does.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.operator import AttentionOperator


@dataclass(frozen=True)
class RelevanceLayer:
    """One layer: R ← shortcut·R + attention·R.

    Attributes:
        attention: Ā, (token after, token before).
        shortcut: (token after, token before), 1 where all tokens stay what they are.

    """

    attention: AttentionOperator
    shortcut: AttentionOperator


@dataclass(frozen=True)
class Relevance:
    """R of layers that follow each other; without any, 1.

    Attributes:
        layers: first to last.

    """

    layers: tuple[RelevanceLayer, ...]

    def back(
        self, rows: Float[Tensor, "batch 1 after d"]
    ) -> tuple[Float[Tensor, "batch 1 before d"], Float[Tensor, "batch 1 before d"]]:
        """Return (R − 1)ᵀ @ rows, and what the shortcuts carry: 1 @ rows."""
        brought, carried = torch.zeros_like(rows), rows
        for layer in reversed(self.layers):
            attended = layer.attention.rmatvec(carried + brought)
            brought = layer.shortcut.rmatvec(brought) + attended
            carried = layer.shortcut.rmatvec(carried)
        return brought, carried

    def forth(
        self, values: Float[Tensor, "batch 1 before d"]
    ) -> tuple[Float[Tensor, "batch 1 after d"], Float[Tensor, "batch 1 after d"]]:
        """Return (R − 1) @ values, and what the shortcuts carry: 1 @ values."""
        brought, carried = torch.zeros_like(values), values
        for layer in self.layers:
            attended = layer.attention.matvec(carried + brought)
            brought = layer.shortcut.matvec(brought) + attended
            carried = layer.shortcut.matvec(carried)
        return brought, carried

    def normalised_back(
        self, rows: Float[Tensor, "batch 1 after d"], tokens: int
    ) -> Float[Tensor, "batch 1 before d"]:
        """Return R̄ᵀ @ rows, where R̄ is R − 1 with rows that sum to 1, plus 1 (equations 8, 9).

        Args:
            rows: over the tokens after the last layer.
            tokens: how many there are before the first.

        """
        brought, _ = self.back(rows / self._sums(rows, tokens))
        return brought + self.back(rows)[1]

    def normalised_forth(
        self, values: Float[Tensor, "batch 1 before d"]
    ) -> Float[Tensor, "batch 1 after d"]:
        """Return R̄ @ values."""
        brought, carried = self.forth(values)
        return brought / self._sums(values, values.shape[2]) + carried

    def _sums(self, like: Tensor, tokens: int) -> Float[Tensor, "batch 1 after 1"]:
        """Return what the rows of R − 1 sum to; 1 for a row of zeros."""
        sums, _ = self.forth(like.new_ones(like.shape[0], 1, tokens, 1))
        return sums.masked_fill(sums == 0, 1.0)
