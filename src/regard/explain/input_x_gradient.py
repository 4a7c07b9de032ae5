"""Input × gradient: what each pixel adds to the score, if the model were linear.

Shrikumar, Greenside, Shcherbina & Kundaje 2016, "Not Just a Black Box: Learning Important Features
Through Propagating Activation Differences" (arXiv 1605.01713), where it is what DeepLIFT is
compared with. A pixel's channels are summed, as are the parts of a sum.

The input is what the preprocessing made: zero is the mean colour in most models, not black.
"""

from torch import Tensor, nn

from regard.core.precision import at_least_single
from regard.explain.explainer import Maps, register
from regard.explain.input_gradient import input_gradient
from regard.explain.targets import Score


@register(
    "input_x_gradient",
    family="gradient",
    answers="What does each pixel add to the score, as far as the model is linear?",
    paper="Shrikumar et al., 2016",
    arxiv="1605.01713",
)
def input_x_gradient(model: nn.Module, images: Tensor, score: Score) -> Maps:
    """Return input × gradient: (batch, height, width), for and against, in units of the score.

    One forward pass and one backward pass.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.

    """
    found = input_gradient(model, images, score)
    return Maps((found.gradient * at_least_single(images)).sum(1), "signed")
