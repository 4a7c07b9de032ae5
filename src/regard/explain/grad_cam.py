"""Grad-CAM: the layer's channels, weighted by the mean gradient of the target.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization" (arXiv 1610.02391), equations 1 and 2.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.explain.explainer import Maps, register
from regard.explain.layer import Site, find_layer
from regard.explain.targets import Score
from regard.explain.through_layer import MapBatch, activations


def class_activation(
    features: MapBatch, weights: Float[Tensor, "batch channel"]
) -> Float[Tensor, "batch row col"]:
    """Return the positive part of the weighted sum of the channels."""
    return torch.einsum("bkij,bk->bij", features, weights).clamp(min=0)


@register(
    "grad_cam",
    family="activation",
    answers="Where are the features of a layer that, in the mean, speak for the target?",
    paper="Selvaraju et al., 2017",
    arxiv="1610.02391",
)
def grad_cam(model: nn.Module, images: Tensor, score: Score, *, site: Site = "auto") -> Maps:
    """Return Grad-CAM's map: (batch, row, col) of the layer, from 0 on.

    One forward pass, and back from the output to the layer only.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.
        site: the layer, by name, glob or module; `auto` for the last that the target sees.

    """
    layer = find_layer(model, images, score, site)
    found = activations(model, images, score, layer)
    values = class_activation(found.features, found.gradient.mean((2, 3)))
    return Maps(values, "positive", (layer.name,), layer.grid)
