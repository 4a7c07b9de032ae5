"""Saliency: how much the score changes with each pixel.

Simonyan, Vedaldi & Zisserman 2013, "Deep Inside Convolutional Networks: Visualising Image
Classification Models and Saliency Maps" (arXiv 1312.6034), section 3.1: the gradient's absolute
value, and of the channels the largest.
"""

from jaxtyping import Float
from torch import Tensor, nn

from regard.explain.explainer import Maps, register
from regard.explain.input_gradient import Pixels, input_gradient
from regard.explain.targets import Score


def strongest_channel(gradient: Pixels) -> Float[Tensor, "row height width"]:
    """Return the largest absolute value among each pixel's channels."""
    return gradient.abs().amax(1)


@register(
    "saliency",
    family="gradient",
    answers="Which pixels would change the score most if they changed a little?",
    paper="Simonyan et al., 2013",
    arxiv="1312.6034",
)
def saliency(model: nn.Module, images: Tensor, score: Score) -> Maps:
    """Return the saliency map: (batch, height, width), from 0 on, in score per unit of input.

    One forward pass and one backward pass.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.

    """
    return Maps(strongest_channel(input_gradient(model, images, score).gradient), "positive")
