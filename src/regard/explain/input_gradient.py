"""The gradient of the score with respect to the images, and of nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from regard.core.errors import InputError
from regard.core.precision import at_least_single
from regard.explain.targets import Score

Pixels = Float[Tensor, "row channel height width"]


@dataclass(frozen=True)
class InputGradient:
    """What a model and its score make of images.

    Attributes:
        scores: of each row.
        gradient: of each row's score, with respect to that row; at least in single precision.

    """

    scores: Float[Tensor, " row"]
    gradient: Pixels


def input_gradient(
    model: nn.Module,
    images: Pixels,
    score: Score,
    image: int | Int[Tensor, " row"] | None = None,
) -> InputGradient:
    """Return the scores and their gradient: one forward pass, and back to the images.

    No gradient of a weight is computed, nor what only such a gradient would need kept.

    Args:
        model: in eval mode, so that no row depends on another.
        images: the rows.
        score: of the target.
        image: which of the score's images each row is a copy of, as in `Score`.

    Raises:
        InputError: the score does not depend on the images in a differentiable way.

    """
    leaf = images.detach().requires_grad_()
    with weights_as_constants(model), torch.enable_grad():
        scores = score(model(leaf.clone()), image)  # a clone: the model may write into it
        gradient = None
        if scores.requires_grad:
            (gradient,) = torch.autograd.grad(scores.sum(), leaf, allow_unused=True)
    if gradient is None:
        raise InputError(
            "the target does not depend on the image, or not in a differentiable way; choose "
            "another target, or a perturbation method"
        )
    return InputGradient(at_least_single(scores.detach()), at_least_single(gradient))


@contextmanager
def weights_as_constants(model: nn.Module) -> Iterator[None]:
    """Let no parameter ask for a gradient; restore each one's flag, also after an exception.

    Layers then do not keep their input for the gradient of their weights: of a ViT's forward pass
    a third less stays in memory.
    """
    asking = [p for p in model.parameters() if p.requires_grad and p.is_leaf]
    try:
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
