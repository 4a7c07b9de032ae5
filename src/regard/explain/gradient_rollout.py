"""Gradient rollout: relevance passed back through attention that the target wants more of.

Chefer, Gur & Wolf 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal and
Encoder-Decoder Transformers" (arXiv 2103.15679). Equations 5 and 6: Ā = E_h[(∇A ⊙ A)⁺] and
R ← R + Ā·R for each layer, from R = 1; the class token's row of R is the map. We pass that row from
the last layer to the first, so that no R is formed. Where object queries ask the image, as in DETR,
the rules for two kinds of tokens, equations 7 to 10, are added (`object_queries`).

Beyond the paper:

- the row is that of the tokens the target reads: the class token, or the object query, where the
  target depends on nothing else of the last layer, the mean of the rows where it reads several, as
  in networks that average their tokens;
- the 1 that R starts from is left out. In the class token's row it lies on the class token; in the
  mean of all rows it would lie on every patch alike, whatever the model does;
- layers may differ in resolution, and attend within windows (`token_flow`).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.core.composition import Chain
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.core.record import AttentionRecord
from regard.core.window_operator import WindowOperator
from regard.explain.attention_sites import (
    Differentiated,
    attention_and_gradients,
    names_of,
    on_map,
    worst_provenance,
)
from regard.explain.explainer import Maps, register
from regard.explain.gradient_weighted import wanted_attention
from regard.explain.layer import Site
from regard.explain.object_queries import asked_of_image, first_decoder_layer, space_asked
from regard.explain.relevance import Relevance, RelevanceLayer
from regard.explain.targets import Score
from regard.explain.token_flow import Passage, class_token, first_space, last_space, passages


@register(
    "gradient_rollout",
    family="attention",
    answers="From which patches did attention bring what speaks for the target?",
    paper="Chefer, Gur & Wolf, 2021",
    arxiv="2103.15679",
    examples=({"query": 1},),
)
def gradient_rollout(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    site: Site = "auto",
    query: int | None = None,
) -> Maps:
    """Return the relevance of each patch to the target: (batch, row, col), from 0 on.

    One forward pass, one backward pass to the first attention, and the rows of each layer's
    attention once more.

    Args:
        model: in eval mode; its parameters may be frozen.
        images: (batch, channel, height, width).
        score: of the target.
        site: `auto` for all layers; else those that match a name or glob, or are in a module.
        query: token of the last layer, or cell where it has windows; None for those that the
            target reads.

    Raises:
        InputError: no such sites or query, the layers cannot follow each other, or the target does
            not depend on them in a differentiable way.

    """
    layers = attention_and_gradients(model, images, score, site)
    records = [layer.record for layer in layers]
    with torch.no_grad():
        number = first_decoder_layer(records)
        image, decoder = layers[:number], layers[number:]
        passed = passages(records[:number]) if image else []
        relevance = Relevance(tuple(map(_relevance_layer, image, passed)))
        space = last_space(records[:number], passed) if image else space_asked(decoder)
        grid = first_space(records[0]) if image else space
        read = _tokens_read(layers[-1])
        if decoder:
            start = _shares(read, None, query, records[-1])
            asked = asked_of_image(decoder, start, space)
            values = relevance.normalised_back(asked, grid.tokens)
        else:
            asking = passed[-1].asking
            read = read if asking is None else asking.matvec(read)
            values, _ = relevance.back(_shares(read, space, query, records[-1]))
        values = on_map(grid, values[:, 0, :, 0])
    return Maps(values, "positive", names_of(records), grid, provenance=worst_provenance(records))


def _relevance_layer(layer: Differentiated, passage: Passage) -> RelevanceLayer:
    attention = passage.of_attention(wanted_attention(layer.record, layer.gradient))
    if passage.asking is not None:
        attention = Chain((passage.asking, attention))
    return RelevanceLayer(attention, passage.of_all(passage.shortcut))


def _tokens_read(layer: Differentiated) -> Float[Tensor, "image 1 query 1"]:
    """Return 1 for each query of a layer, or its cell, on whose output the target depends."""
    record, read = layer.record, (layer.gradient != 0).any(-1)
    grid = record.query_grid
    if grid is not None and isinstance(record.whole_operator, WindowOperator):
        read = read.flatten(0, 1) if grid.heads_are_groups else read.any(1)
        cells = grid.to_map(read.unflatten(0, (-1, grid.groups)).float()) > 0
        read = cells.flatten(1)[:, None]
    return read.any(1, keepdim=True)[..., None].float()


def _shares(
    read: Float[Tensor, "image 1 token 1"],
    space: Grid | None,
    query: int | None,
    last: AttentionRecord,
) -> Float[Tensor, "image 1 token 1"]:
    """Return which tokens after the last layer the map is for, as shares of 1.

    Where the target reads tokens with a place and others too, the class token stands for them.

    Args:
        read: 1 for the tokens that the target reads.
        space: where the tokens lie; None for object queries.
        query: which the user asks for.
        last: the last layer.

    Raises:
        InputError: there is no such query.

    """
    if query is not None:
        if not 0 <= query < read.shape[2]:
            raise InputError(
                f"query {query} does not exist: the last layer, {last.site!r}, has "
                f"{read.shape[2]} tokens"
            )
        read = torch.zeros_like(read).index_fill(2, torch.tensor(query, device=read.device), 1.0)
    token = None if space is None or query is not None else class_token(space)
    if space is not None and token is not None:
        placeless = torch.from_numpy(space.table[0] == NO_PLACE).to(read.device)
        both = (read[:, :, placeless] > 0).any(2) & (read[:, :, ~placeless] > 0).any(2)
        first = torch.zeros_like(read)
        first[:, :, token] = 1
        read = torch.where(both[..., None], first, read)
    return read / read.sum(2, keepdim=True).clamp(min=1)
