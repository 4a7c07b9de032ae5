"""Attention rollout: how much of each input token reaches a token of the last layer.

Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers" (arXiv 2005.00928): every layer
is the mean of its heads, mixed half and half with the identity for the residual connection, with
rows normalised; the rollout is the product of all layers. We never form that product: the row of
one token is passed from the last layer to the first.

Beyond the paper, layers may differ in resolution. The shortcut, and the keys where they are pooled,
are then resampled by area (average pooling), which is what patch merging and strided pooling do to
positions. Windows are taken together to one layer over the whole image.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.composition import Chain, WeightedSum, residual
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.core.operator import AttentionOperator
from regard.core.record import AttentionRecord
from regard.core.sparse_operator import SparseOperator, identity, resampling


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
        return _first_space(self.record)

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
    layers = _mixing(records)
    operator, after = _composed(layers, share)
    if query is None:
        query = _class_token(_spaces(layers[-1])[0] if after is None else after)
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
    return _composed(_mixing(records), share)[0]


def _composed(layers: list[AttentionRecord], share: float) -> tuple[Chain, Grid | None]:
    """Return the product of all layers, and where the tokens after it lie, if that was needed."""
    if _alike(layers):
        tokens, device = layers[0].operator.shape[2], layers[0].operator.device
        shortcut = identity(tokens, device)
        operators = [residual(layer.operator, shortcut, share) for layer in layers]
        return Chain(tuple(reversed(operators))), None
    space, operators = _first_space(layers[0]), []
    for layer in layers:
        operator, space = _layer(layer, space, share)
        operators.append(operator)
    return Chain(tuple(reversed(operators))), space


def _mixing(records: Iterable[AttentionRecord]) -> list[AttentionRecord]:
    layers = [record for record in records if record.kind != "gate"]
    if not layers:
        raise InputError("rollout needs at least one record of attention that is not a gate")
    return layers


def _alike(layers: list[AttentionRecord]) -> bool:
    """Return True if all layers have the same tokens, so that no places need to be known."""
    shapes = {record.operator.shape for record in layers}
    batch, _, queries, keys = shapes.pop()
    same = all((b, n, m) == (batch, queries, keys) for b, _, n, m in shapes)
    return same and queries == keys and all(record.images == batch for record in layers)


def _spaces(record: AttentionRecord, before: Grid | None = None) -> tuple[Grid, Grid]:
    """Return the grids of queries and keys, with the windows of the image taken together.

    Args:
        record: of a layer.
        before: where the tokens before the layer lie, if it is not the first. A layer whose own
            tokens could not be placed is taken to keep them, if they are as many.

    Raises:
        InputError: it is not known where the tokens lie.

    """
    batch, _, queries, keys = record.operator.shape
    asking, asked = record.query_grid, record.key_grid
    if asking is not None and asked is not None:
        return _whole(asking), _whole(asked)
    placed = asking if asking is not None else asked
    placed = before if placed is None else placed
    if placed is not None and record.images == batch:
        if queries == keys == placed.tokens:
            return placed, placed
        # One query, or as many as there are keys without a place, is no map: class attention.
        if placed is asked and queries <= max(1, int((placed.table == NO_PLACE).sum())):
            return replace(placed, prefix=0, places=np.full((1, queries), NO_PLACE)), placed
    raise InputError(
        f"site {record.site!r} has {queries} queries and {keys} keys that could not be placed, so "
        "that it is unknown how they follow on the layer before; leave this site out of the records"
    )


def _whole(grid: Grid) -> Grid:
    if grid.groups == 1:
        return grid
    return replace(grid, prefix=0, places=None, heads_are_groups=False)


def _asks_for_some(queries: Grid, keys: Grid) -> bool:
    """Return True if only tokens without a place ask, and are among the keys."""
    return bool((queries.table == NO_PLACE).all() and (keys.table == NO_PLACE).any())


def _first_space(record: AttentionRecord) -> Grid:
    """Return where the tokens before a layer lie: its queries, or its keys if these are more."""
    queries, keys = _spaces(record)
    return keys if keys.tokens > queries.tokens else queries


def _layer(record: AttentionRecord, before: Grid, share: float) -> tuple[AttentionOperator, Grid]:
    """Return one layer with its shortcut, from the tokens before it, and the tokens after it."""
    queries, keys = _spaces(record, before)
    attention = record.whole_operator
    device = attention.device
    attention = Chain((attention, resampling(keys, before, device)))
    layer = residual(attention, resampling(queries, before, device), share)
    if not _asks_for_some(queries, keys) or queries.tokens == keys.tokens:
        return layer, queries
    # A class token attends to itself and to patches, which stay as they are.
    asking = resampling(keys, queries, device)
    staying = _without_rows(resampling(keys, before, device), asking.queries)
    return WeightedSum((Chain((asking, layer)), staying), (1.0, 1.0)), keys


def _without_rows(operator: SparseOperator, rows: Tensor) -> SparseOperator:
    kept = ~torch.isin(operator.queries, rows)
    return replace(
        operator,
        queries=operator.queries[kept],
        keys=operator.keys[kept],
        weights=operator.weights[kept],
    )


def _class_token(grid: Grid) -> int | None:
    """Return the first token that has no place; None if all have one."""
    placeless = (grid.table[0] == NO_PLACE).nonzero()[0]
    return int(placeless[0]) if len(placeless) else None
