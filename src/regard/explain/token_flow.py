"""How tokens pass from layer to layer beside the attention: shortcuts, pooled keys, class tokens.

Layers may differ in resolution. The shortcut, and the keys where they are pooled, are then
resampled by area (average pooling), which is what patch merging and strided pooling do to
positions. Windows are taken together to one layer over the whole image.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from regard.core.composition import Chain, WeightedSum
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.core.operator import AttentionOperator
from regard.core.record import AttentionRecord
from regard.core.sparse_operator import SparseOperator, identity, resampling


@dataclass(frozen=True)
class Passage:
    """How tokens pass through one layer.

    Attributes:
        keys: (key, token before), what each key is made of; None for the token itself.
        shortcut: (query, token before), likewise of each query.
        asking: (token after, query); None where all tokens ask.
        staying: (token after, token before), of those that do not ask and stay as they are.
        after: where the tokens after the layer lie; None where that was not needed.

    """

    keys: SparseOperator | None
    shortcut: SparseOperator
    asking: SparseOperator | None = None
    staying: SparseOperator | None = None
    after: Grid | None = None

    def of_attention(self, operator: AttentionOperator) -> AttentionOperator:
        """Return (query, token before) for an attention (query, key)."""
        return operator if self.keys is None else Chain((operator, self.keys))

    def of_all(self, layer: AttentionOperator) -> AttentionOperator:
        """Return (token after, token before) for what happens to the tokens that ask."""
        if self.asking is None or self.staying is None:
            return layer
        return WeightedSum((Chain((self.asking, layer)), self.staying), (1.0, 1.0))


def mixing(records: Iterable[AttentionRecord]) -> list[AttentionRecord]:
    """Return the records that mix positions: gates do not.

    Raises:
        InputError: there are none.

    """
    layers = [record for record in records if record.kind != "gate"]
    if not layers:
        raise InputError("rollout needs at least one record of attention that is not a gate")
    return layers


def passages(layers: list[AttentionRecord]) -> list[Passage]:
    """Return how tokens pass through each of the layers, which follow each other.

    Raises:
        InputError: it is not known where the tokens of a layer lie, and the layers differ.

    """
    if _alike(layers):
        tokens, device = layers[0].operator.shape[2], layers[0].operator.device
        return [Passage(None, identity(tokens, device))] * len(layers)
    space, found = first_space(layers[0]), []
    for layer in layers:
        passage, space = _passage(layer, space)
        found.append(passage)
    return found


def last_space(layers: list[AttentionRecord], passed: list[Passage]) -> Grid:
    """Return where the tokens after the last layer lie.

    Raises:
        InputError: they could not be placed.

    """
    after = passed[-1].after
    return spaces(layers[-1])[0] if after is None else after


def first_space(record: AttentionRecord) -> Grid:
    """Return where the tokens before a layer lie: its queries, or its keys if these are more.

    Raises:
        InputError: they could not be placed.

    """
    queries, keys = spaces(record)
    return keys if keys.tokens > queries.tokens else queries


def class_token(grid: Grid) -> int | None:
    """Return the first token that has no place; None if all have one."""
    placeless = (grid.table[0] == NO_PLACE).nonzero()[0]
    return int(placeless[0]) if len(placeless) else None


def _alike(layers: list[AttentionRecord]) -> bool:
    """Return True if all layers have the same tokens, so that no places need to be known."""
    shapes = {record.operator.shape for record in layers}
    batch, _, queries, keys = shapes.pop()
    same = all((b, n, m) == (batch, queries, keys) for b, _, n, m in shapes)
    return same and queries == keys and all(record.images == batch for record in layers)


def spaces(record: AttentionRecord, before: Grid | None = None) -> tuple[Grid, Grid]:
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
        return whole(asking), whole(asked)
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


def whole(grid: Grid) -> Grid:
    """Return the grid of the whole image, of one whose windows are taken together."""
    if grid.groups == 1:
        return grid
    return replace(grid, prefix=0, places=None, heads_are_groups=False)


def _asks_for_some(queries: Grid, keys: Grid) -> bool:
    """Return True if only tokens without a place ask, and are among the keys."""
    return bool((queries.table == NO_PLACE).all() and (keys.table == NO_PLACE).any())


def _passage(record: AttentionRecord, before: Grid) -> tuple[Passage, Grid]:
    """Return how tokens pass through one layer, and where those after it lie."""
    queries, keys = spaces(record, before)
    device = record.operator.device
    pooled, shortcut = resampling(keys, before, device), resampling(queries, before, device)
    if not _asks_for_some(queries, keys) or queries.tokens == keys.tokens:
        return Passage(pooled, shortcut, after=queries), queries
    # A class token attends to itself and to patches, which stay as they are.
    asking = resampling(keys, queries, device)
    staying = _without_rows(resampling(keys, before, device), asking.queries)
    return Passage(pooled, shortcut, asking, staying, after=keys), keys


def _without_rows(operator: SparseOperator, rows: Tensor) -> SparseOperator:
    kept = ~torch.isin(operator.queries, rows)
    return replace(
        operator,
        queries=operator.queries[kept],
        keys=operator.keys[kept],
        weights=operator.weights[kept],
    )
