"""Rollout as a method: what reaches the class token through all layers (see `rollout`)."""

import torch
from torch import Tensor, nn

from regard.core.errors import InputError
from regard.explain.attention_sites import attention_of, names_of, on_map, worst_provenance
from regard.explain.explainer import Maps, register
from regard.explain.layer import Site
from regard.explain.rollout import rollout
from regard.explain.targets import Score


@register(
    "rollout",
    family="attention",
    answers="From which patches could anything reach the class token through all layers?",
    paper="Abnar & Zuidema, 2020",
    arxiv="2005.00928",
    examples=({"share": 0.9},),
    class_specific=False,
)
def rollout_map(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    site: Site = "auto",
    query: int | None = None,
    share: float = 0.5,
) -> Maps:
    """Return what reaches one token of the last layer from each of the first: (batch, row, col).

    One forward pass, and one product with a vector in each layer. What comes from tokens without a
    place is left out, so that the map may sum to less than 1.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: not used: rollout is the same for every target.
        site: `auto` for all layers; else those that match a name or glob, or are in a module.
        query: token of the last layer, or cell where it has windows; None for the class token, or
            the mean over all tokens where there is none.
        share: of the shortcut.

    Raises:
        InputError: no such sites or query, or the layers cannot follow each other, or have
            negative weights (as linear attention may), or `share` is not between 0 and 1.

    """
    records = attention_of(model, images, site)
    with torch.no_grad():
        told = rollout(records, query, share=share)
    if (told.relevance < 0).any():
        raise InputError(
            f"the attention of {type(model).__name__} has negative weights, of which rollout makes "
            "no shares; choose gradient_rollout, or other layers with site="
        )
    return Maps(
        on_map(told.grid, told.relevance),
        "distribution",
        names_of(records),
        told.grid,
        keys=told.relevance.shape[1],
        provenance=worst_provenance(records),
    )
