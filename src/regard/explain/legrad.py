"""LeGrad: what each layer's own score wants of its attention, in the mean over all layers.

Bousselham, Boggust, Chaybouti, Strobelt & Kuehne 2024, "LeGrad: An Explainability Method for Vision
Transformers via Feature Formation Sensitivity" (arXiv 2404.03214), section 3: the classifier is
applied to the tokens after layer l, the positive part of the gradient of that score with respect to
the layer's attention is averaged over heads and queries, and then over layers. There the result is
scaled to 0 … 1 in the end; we leave it as it is.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.capture import Captured
from regard.core.errors import InputError
from regard.core.grid import Grid
from regard.core.record import AttentionRecord
from regard.explain.attention_sites import (
    attention_of,
    captured_with_gradients,
    names_of,
    on_map,
    thawed,
    worst_provenance,
)
from regard.explain.explainer import Maps, register
from regard.explain.gradient_weighted import gradient_weighted
from regard.explain.layer import Site
from regard.explain.stacked_blocks import blocks_around
from regard.explain.targets import Score
from regard.explain.token_flow import whole


@register(
    "legrad",
    family="attention",
    answers="Which patches would more attention make speak for the target, layer by layer?",
    paper="Bousselham et al., 2024",
    arxiv="2404.03214",
)
def legrad(model: nn.Module, images: Tensor, score: Score, *, site: Site = "auto") -> Maps:
    """Return the mean positive gradient of attention on each patch: (batch, row, col), from 0 on.

    Two forward passes, the classifier once for each layer, and one backward pass through it and
    through that layer alone.

    Args:
        model: in eval mode, with a list of blocks that keep the tokens' number and width.
        images: (batch, channel, height, width).
        score: of the target.
        site: `auto` for all layers; else those that match a name or glob, or are in a module.

    Raises:
        InputError: no such sites, or the model is not made of such blocks, or the target does not
            depend on them in a differentiable way.

    """
    blocks = blocks_around(model, names_of(attention_of(model, images, site)))
    with blocks.apart() as outputs:
        seen, _ = captured_with_gradients(model, images, site)
    layers: list[tuple[AttentionRecord, Tensor]] = []
    for number in range(len(blocks.modules)):
        with torch.enable_grad(), thawed(model), blocks.skipped(outputs, number):
            total = score(model(images.detach())).sum()
        layers += _wanted(seen, total)
    if not layers:
        raise InputError(
            f"the target does not depend on the attention of {type(model).__name__}, or not in a "
            "differentiable way; choose another target= or site="
        )
    records = [record for record, _ in layers]
    grid = _common_grid(records)
    mean = torch.stack([values for _, values in layers]).mean(0)
    return Maps(
        on_map(grid, mean),
        "positive",
        names_of(records),
        grid,
        provenance=worst_provenance(records),
    )


def _wanted(
    seen: Captured, total: Tensor
) -> list[tuple[AttentionRecord, Float[Tensor, "batch key"]]]:
    """Return the layers on which a score depends, each with its mean positive gradient."""
    found = []
    for record, gradient in zip(seen.records, seen.output_gradients(total), strict=True):
        if gradient is None or record.mixes != "tokens":
            continue
        with torch.no_grad():
            operator = gradient_weighted(record, gradient, times_weights=False).whole_operator
            images, heads, queries, _ = operator.shape
            even = torch.full((images, heads, queries, 1), 1 / queries, device=gradient.device)
            found.append((record, operator.rmatvec(even)[..., 0].mean(1)))
    return found


def _common_grid(records: list[AttentionRecord]) -> Grid:
    """Return where all keys lie; those that could not be placed lie as others do, if as many."""
    placed = [whole(record.key_grid) for record in records if record.key_grid is not None]
    keys = {record.whole_operator.shape[3] for record in records}
    if not placed or any(grid != placed[0] for grid in placed) or keys != {placed[0].tokens}:
        raise InputError(
            f"the keys of {records[0].site!r} to {records[-1].site!r} do not all lie on one known "
            "grid, so that their maps have no mean; choose sites that do with site="
        )
    return placed[0]
