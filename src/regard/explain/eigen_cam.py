"""Eigen-CAM: the layer's features along the direction in which they are largest.

Muhammad & Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components" (arXiv
2008.00299): with the features as a matrix of cells by channels, O = U Σ Vᵀ, the map is O times the
first column of V. A singular vector's sign is arbitrary and the paper does not choose one; we take
the one with which the map agrees with the mean of the channels (the product of the two, summed over
the cells, is not below zero). So features from 0 on give a map from 0 on.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.core.precision import at_least_single
from regard.explain.explainer import Maps, register
from regard.explain.layer import Site, find_layer
from regard.explain.targets import Score
from regard.explain.through_layer import features_of


def first_component(
    matrix: Float[Tensor, "batch cell channel"],
) -> Float[Tensor, "batch cell"]:
    """Return each cell's coordinate along the first right singular vector."""
    left, sizes, _right = torch.linalg.svd(matrix, full_matrices=False)
    along = left[:, :, 0] * sizes[:, :1]
    agrees = (along * matrix.mean(2)).sum(1, keepdim=True) >= 0
    return torch.where(agrees, along, -along)


@register(
    "eigen_cam",
    family="activation",
    answers="Where are the strongest features of a layer, whatever they speak for?",
    paper="Muhammad & Yeasin, 2020",
    arxiv="2008.00299",
    examples=({"centred": True},),
    class_specific=False,
)
def eigen_cam(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    site: Site = "auto",
    centred: bool = False,
) -> Maps:
    """Return Eigen-CAM's map: (batch, row, col) of the layer; the same for every target.

    One forward pass, nothing backward.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: only tells the automatic choice which layers matter.
        site: the layer, by name, glob or module; `auto` for the last that the target sees.
        centred: take each channel's mean away first, which makes it the first principal component:
            where the features differ most, and no longer where they are largest. The paper's text
            speaks of principal components, its equations do not centre.

    """
    layer = find_layer(model, images, score, site)
    features = at_least_single(features_of(model, images, layer))
    matrix = features.flatten(2).mT
    if centred:
        matrix = matrix - matrix.mean(1, keepdim=True)
    values = first_component(matrix).unflatten(1, features.shape[2:])
    return Maps(values, "signed", (layer.name,), layer.grid)
