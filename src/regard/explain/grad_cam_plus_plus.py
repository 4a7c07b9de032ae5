"""Grad-CAM++: a channel weighs by its positive gradients, each in proportion to its own share.

Chattopadhay et al. 2018, "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
Convolutional Networks" (arXiv 1710.11063), equations 5 to 7 and 19. The paper explains Y = exp(S),
S being the score before the softmax, because then the second and third derivatives are powers of
the first. Its gradients are those of S times exp(S), one factor for the whole map, which overflows
for large scores: we leave it out. Equation 19 is written without the square of the gradient that
its numerator and denominator share, so that small gradients need no constant added against a
division by zero.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.explain.explainer import Maps, register
from regard.explain.grad_cam import class_activation
from regard.explain.layer import Site, find_layer
from regard.explain.targets import Score
from regard.explain.through_layer import MapBatch, activations


def positive_weights(features: MapBatch, gradient: MapBatch) -> Float[Tensor, "batch channel"]:
    """Return equation 5's weights, with the coefficients of equation 19.

    A coefficient is 1 / (2 + gradient · sum of the channel), and 0 where that divides by zero,
    which only features below zero can bring about.
    """
    below = 2 + gradient * features.sum((2, 3), keepdim=True)
    coefficients = torch.where(below == 0, 0, 1 / below)
    return (coefficients * gradient.clamp(min=0)).sum((2, 3))


@register(
    "grad_cam_plus_plus",
    family="activation",
    answers="Where are the features of a layer that anywhere, however small, speak for the target?",
    paper="Chattopadhay et al., 2018",
    arxiv="1710.11063",
)
def grad_cam_plus_plus(
    model: nn.Module, images: Tensor, score: Score, *, site: Site = "auto"
) -> Maps:
    """Return Grad-CAM++'s map: (batch, row, col) of the layer, from 0 on.

    One forward pass, and back from the output to the layer only. The paper's features come after a
    ReLU; where features may be below zero, as tokens are, coefficients can have any size and sign.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target, before any softmax.
        site: the layer, by name, glob or module; `auto` for the last that the target sees.

    """
    layer = find_layer(model, images, score, site)
    found = activations(model, images, score, layer)
    weights = positive_weights(found.features, found.gradient)
    return Maps(class_activation(found.features, weights), "positive", (layer.name,), layer.grid)
