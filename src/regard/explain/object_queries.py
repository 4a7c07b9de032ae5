"""Object queries that ask the image, as in DETR: relevance across two kinds of tokens.

Chefer, Gur & Wolf 2021 (arXiv 2103.15679), for an encoder with a decoder, where the image never
asks the queries. With q the queries and i the image's tokens, from R_qq = 1 and R_qi = 0:

- self-attention of the queries: R_qq ← R_qq + Ā·R_qq and R_qi ← R_qi + Ā·R_qi (equations 6, 7);
- queries on the image: R_qi ← R_qi + R̄_qqᵀ·Ā·R̄_ii (equation 10), where R̄ is R − 1 with rows
  that sum to 1, plus 1 (equations 8, 9).

Row r of R_qi is linear in what all layers ask of the image, so it is passed from the last layer to
the first, and through R̄_ii once.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.composition import Chain
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.core.operator import AttentionOperator
from regard.core.record import AttentionRecord
from regard.core.sparse_operator import identity, resampling
from regard.explain.attention_sites import Differentiated
from regard.explain.gradient_weighted import wanted_attention
from regard.explain.relevance import Relevance, RelevanceLayer


def first_decoder_layer(records: Sequence[AttentionRecord]) -> int:
    """Return the number of the first layer in which object queries ask; how many there are if none.

    Object queries have no place, are not as many as the tokens before, and ask keys that have a
    place, there or in a later layer.
    """
    tokens = None
    for number, record in enumerate(records):
        _, _, queries, keys = record.operator.shape
        placeless = _placeless(record.key_grid)
        if _has_places(record.query_grid) or queries == tokens:
            tokens = queries
        elif placeless is None and queries == keys:
            if any(_asks_image(later, tokens) for later in records[number + 1 :]):
                return number
        elif placeless is not None and queries > max(1, placeless):
            return number
    return len(records)


def space_asked(decoder: Sequence[Differentiated]) -> Grid:
    """Return where the tokens lie that the queries of a decoder ask.

    Raises:
        InputError: that is not known.

    """
    for layer in decoder:
        grid = layer.record.key_grid
        if grid is not None and _has_places(grid) and grid.groups == 1:
            return grid
    raise InputError(
        f"the tokens that {decoder[0].record.site!r} and later sites ask could not be placed on "
        "the image; choose other layers with site="
    )


def asked_of_image(
    decoder: Sequence[Differentiated], start: Float[Tensor, "batch 1 query 1"], space: Grid
) -> Float[Tensor, "batch 1 token 1"]:
    """Return the row of R_qi before R̄_ii: how much of each token the queries ask for.

    Args:
        decoder: the layers in which queries ask each other, and the image.
        start: which queries the row is for, as shares of 1.
        space: where the image's tokens lie.

    Raises:
        InputError: a layer of the decoder does neither.

    """
    shortcut = identity(start.shape[2], start.device)
    wanted = [_wanted(layer, start.shape[2], space) for layer in decoder]
    among = [
        None if asks_image else RelevanceLayer(operator, shortcut)
        for operator, asks_image in wanted
    ]
    asked: list[Tensor] = []
    for number, (operator, asks_image) in reversed(list(enumerate(wanted))):
        if asks_image:
            before = Relevance(tuple(layer for layer in among[:number] if layer is not None))
            asked.append(operator.rmatvec(before.normalised_forth(start)))
        else:
            start = start + operator.rmatvec(start)
    return torch.stack(asked).sum(0)


def _wanted(layer: Differentiated, queries: int, space: Grid) -> tuple[AttentionOperator, bool]:
    """Return Ā of a layer, and True if it is (query, token of the image), not (query, query)."""
    operator, grid = wanted_attention(layer.record, layer.gradient), layer.record.key_grid
    _, _, asking, asked = operator.shape
    if asking == queries and not _has_places(layer.record.query_grid):
        if grid is not None and _has_places(grid) and grid.groups == 1:
            return Chain((operator, resampling(grid, space, operator.device))), True
        if asked in (queries, space.tokens):
            return operator, asked != queries
    raise InputError(
        f"site {layer.record.site!r} has {asking} queries and {asked} keys: in a decoder of "
        f"{queries} object queries, these ask each other or the {space.tokens} tokens of the "
        "image; choose other layers with site="
    )


def _asks_image(record: AttentionRecord, tokens: int | None) -> bool:
    _, _, queries, keys = record.operator.shape
    placed = _has_places(record.key_grid) or keys == tokens
    return placed and keys != queries and not _has_places(record.query_grid)


def _has_places(grid: Grid | None) -> bool:
    return grid is not None and bool((grid.table != NO_PLACE).any())


def _placeless(grid: Grid | None) -> int | None:
    """Return how many tokens of a grid have no place; None if none has one."""
    if grid is None or not _has_places(grid):
        return None
    return int((grid.table == NO_PLACE).sum())
