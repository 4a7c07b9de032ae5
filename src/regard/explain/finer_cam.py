"""Finer-CAM: Grad-CAM of a class less its most similar classes.

Zhang et al. 2025, "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation"
(arXiv 2501.11309), equations 5 and 8: the weights are the mean gradients of yᶜ − α yᵈ, averaged
over the reference classes d before the ReLU. As references we take the classes whose scores come
closest to the target's, one of the two ways that the paper names; α is the paper's γ, with its
default.
"""

from typing import Any

import torch
from torch import Tensor, nn

from regard.core.errors import InputError
from regard.explain.explainer import Maps, register
from regard.explain.grad_cam import class_activation
from regard.explain.layer import Site, find_layer
from regard.explain.targets import Rows, Score, class_scores
from regard.explain.through_layer import activations


@register(
    "finer_cam",
    family="activation",
    answers="Where are the features that tell the target from the classes most like it?",
    paper="Zhang et al., 2025",
    arxiv="2501.11309",
    examples=({"alpha": 1.0, "references": 1},),
)
def finer_cam(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    site: Site = "auto",
    alpha: float = 0.6,
    references: int = 3,
) -> Maps:
    """Return Finer-CAM's map: (batch, row, col) of the layer, from 0 on.

    One forward pass, and back from the output to the layer only.

    Args:
        model: in eval mode; it returns scores of classes.
        images: (batch, channel, height, width).
        score: of a class.
        site: the layer, by name, glob or module; `auto` for the last that the target sees.
        alpha: how strongly the references are taken off; 0 is Grad-CAM.
        references: how many classes to compare with; all others where there are fewer.

    Raises:
        InputError: the target is no class, or the model has one class only.

    """
    if references < 1 or alpha < 0:
        raise InputError(
            f"finer_cam compares with at least one class (references={references}) and takes off "
            f"at least nothing (alpha={alpha})"
        )
    layer = find_layer(model, images, score, site)
    found = activations(model, images, finer(score, alpha, references), layer)
    values = class_activation(found.features, found.gradient.mean((2, 3)))
    chosen = "compared with the classes whose scores come closest to the target's"
    return Maps(values, "positive", (layer.name,), layer.grid, chosen=(chosen,))


def finer(score: Score, alpha: float, references: int) -> Score:
    """Return the score of a class less `alpha` times the mean score of its most similar classes."""

    def less(output: Any, image: Rows) -> Tensor:
        wanted, scores = score.of(output, image), class_scores(output)
        classes = _classes(wanted, scores)
        if scores.shape[1] < 2:
            raise InputError("the model has one class only; use grad_cam")
        far = (scores - scores.gather(1, classes)).detach().abs().scatter(1, classes, torch.inf)
        count = min(references, scores.shape[1] - 1)
        closest = far.argsort(dim=1, stable=True)[:, :count]
        return wanted - alpha * scores.gather(1, closest).mean(1)

    return Score(less, score.names)


def _classes(wanted: Tensor, scores: Tensor) -> Tensor:
    """Return the class that each row's target is, (row, 1): the one score on which it depends."""
    slope = None
    if wanted.requires_grad and scores.requires_grad:
        (slope,) = torch.autograd.grad(wanted.sum(), scores, retain_graph=True, allow_unused=True)
    if slope is None or not ((slope.count_nonzero(1) == 1) & (slope.sum(1) == 1)).all():
        raise InputError(
            "finer_cam compares a class with those most like it, and this target is no class; "
            "give a class as target, or use grad_cam"
        )
    return slope.argmax(1, keepdim=True)
