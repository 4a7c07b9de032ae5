"""XGrad-CAM: the layer's channels, weighted by the gradient where each of them is active.

Fu et al. 2020, "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs"
(arXiv 2008.02312).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.explain.explainer import Maps, register
from regard.explain.grad_cam import class_activation
from regard.explain.layer import Site, find_layer
from regard.explain.targets import Score
from regard.explain.through_layer import MapBatch, activations


def active_gradient(features: MapBatch, gradient: MapBatch) -> Float[Tensor, "batch channel"]:
    """Return each channel's gradient, averaged with its features as weights; 0 if they sum to 0."""
    total = features.sum((2, 3))
    return torch.where(total == 0, 0, (features * gradient).sum((2, 3)) / total)


@register(
    "x_grad_cam",
    family="activation",
    answers="Where are the features of a layer that speak for the target where they are active?",
    paper="Fu et al., 2020",
    arxiv="2008.02312",
)
def x_grad_cam(model: nn.Module, images: Tensor, score: Score, *, site: Site = "auto") -> Maps:
    """Return XGrad-CAM's map: (batch, row, col) of the layer, from 0 on.

    One forward pass, and back from the output to the layer only. The paper's features come after a
    ReLU; where they may be below zero, as tokens are, a channel whose features nearly cancel out
    gets a large weight.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.
        site: the layer, by name, glob or module; `auto` for the last that the target sees.

    """
    layer = find_layer(model, images, score, site)
    found = activations(model, images, score, layer)
    weights = active_gradient(found.features, found.gradient)
    return Maps(class_activation(found.features, weights), "positive", (layer.name,), layer.grid)
