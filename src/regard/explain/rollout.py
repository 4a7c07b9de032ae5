"""Attention rollout: how much of each input token reaches a token of the last layer.

Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers" (arXiv 2005.00928): every layer
is the mean of its heads, mixed half and half with the identity for the residual connection, with
rows normalised; the rollout is the product of all layers. We never form that product: the row of
one token is passed from the last layer to the first.

Beyond the paper, layers may differ in resolution, and attend within windows (`token_flow`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.composition import Chain, residual
from regard.core.grid import Grid
from regard.core.record import AttentionRecord
from regard.explain.token_flow import (
    Passage,
    class_token,
    first_space,
    last_space,
    mixing,
    passages,
)


@dataclass(frozen=True)
class Rollout:
    """What reaches one token of the last layer, from every token of the first.

    Attributes:
        relevance: (batch, token), sums to 1 where all of the token comes from tokens of the first
            layer; part of what enters later (a class token that is added between) is missing.
        record: of the first layer, whose tokens these are.

    """

    relevance: Float[Tensor, "batch token"]
    record: AttentionRecord

    @property
    def grid(self) -> Grid:
        """Where the tokens lie.

        Raises:
            InputError: they could not be placed.

        """
        return first_space(self.record)

    @property
    def map(self) -> Tensor:
        """The relevance of every cell, (batch, row, col); of several tokens in a cell the mean."""
        return self.grid.to_map(self.relevance)


def rollout(
    records: Iterable[AttentionRecord], query: int | None = None, *, share: float = 0.5
) -> Rollout:
    """Return what reaches a token of the last layer from each token of the first.

    Time and memory are those of one product with a vector in each layer.

    Args:
        records: in the order in which the layers ran, such as `seen.records`; gates are passed
            over, because they mix no positions.
        query: token of the last layer, or cell where that layer has windows. None for the class
            token, the first token without a place; and for the mean over all tokens where there is
            no such token, as these networks average them.
        share: of the shortcut, ½ in the paper.

    Raises:
        InputError: there are no records, or they cannot follow each other, or `share` is not
            between 0 and 1, or there is no such query.

    """
    layers = mixing(records)
    passed = passages(layers)
    operator = _composed(layers, passed, share)
    if query is None:
        query = class_token(last_space(layers, passed))
    if query is None:
        tokens = operator.shape[2]
        even = torch.full((operator.shape[0], 1, tokens, 1), 1 / tokens, device=operator.device)
        return Rollout(operator.rmatvec(even)[:, 0, :, 0], layers[0])
    return Rollout(operator.rows(query)[:, 0, 0], layers[0])


def rollout_operator(records: Iterable[AttentionRecord], *, share: float = 0.5) -> Chain:
    """Return the whole rollout as an operator: (batch, 1, tokens at the end, at the start).

    Args:
        records: in the order in which the layers ran; gates are passed over.
        share: of the shortcut.

    Raises:
        InputError: as `rollout`.

    """
    layers = mixing(records)
    return _composed(layers, passages(layers), share)


def _composed(layers: list[AttentionRecord], passed: list[Passage], share: float) -> Chain:
    """Return the product of all layers, each with its shortcut."""
    operators = [
        passage.of_all(
            residual(passage.of_attention(layer.whole_operator), passage.shortcut, share)
        )
        for layer, passage in zip(layers, passed, strict=True)
    ]
    return Chain(tuple(reversed(operators)))
