"""HiResCAM: features times their own gradients, summed over the channels.

Draelos & Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
neural networks" (arXiv 2011.08891).
"""

import torch
from torch import Tensor, nn

from regard.explain.explainer import Maps, register
from regard.explain.layer import Site, find_layer
from regard.explain.targets import Score
from regard.explain.through_layer import activations


@register(
    "hires_cam",
    family="activation",
    answers="How much does each place of a layer add to the target, or take from it?",
    paper="Draelos & Carin, 2020",
    arxiv="2011.08891",
)
def hires_cam(model: nn.Module, images: Tensor, score: Score, *, site: Site = "auto") -> Maps:
    """Return HiResCAM's map: (batch, row, col) of the layer, for and against the target.

    Where only a linear layer lies between this one and the score, the map sums to the score less
    its bias. One forward pass, and back from the output to the layer only. There is
    no ReLU, which would hide what speaks against the target.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.
        site: the layer, by name, glob or module; `auto` for the last that the target sees.

    """
    layer = find_layer(model, images, score, site)
    found = activations(model, images, score, layer)
    values = torch.einsum("bkij,bkij->bij", found.features, found.gradient)
    return Maps(values, "signed", (layer.name,), layer.grid)
