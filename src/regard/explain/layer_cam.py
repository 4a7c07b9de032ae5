"""Layer-CAM: features times their own gradients where these are positive.

Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization" (IEEE
Transactions on Image Processing 30). The paper also joins the maps of several layers, the early
ones squeezed through a tanh; this is the map of one layer.
"""

import torch
from torch import Tensor, nn

from regard.explain.explainer import Maps, register
from regard.explain.layer import Site, find_layer
from regard.explain.targets import Score
from regard.explain.through_layer import activations


@register(
    "layer_cam",
    family="activation",
    answers="Where are the features of a layer that speak for the target at their own place?",
    paper="Jiang et al., 2021",
)
def layer_cam(model: nn.Module, images: Tensor, score: Score, *, site: Site = "auto") -> Maps:
    """Return Layer-CAM's map: (batch, row, col) of the layer, from 0 on.

    Good at early layers too, whose maps are fine, because every place has a weight of its own. One
    forward pass, and back from the output to the layer only.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.
        site: the layer, by name, glob or module; `auto` for the last that the target sees.

    """
    layer = find_layer(model, images, score, site)
    found = activations(model, images, score, layer)
    weights = found.gradient.clamp(min=0)
    values = torch.einsum("bkij,bkij->bij", found.features, weights).clamp(min=0)
    return Maps(values, "positive", (layer.name,), layer.grid)
