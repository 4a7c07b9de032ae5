"""A gate per channel, computed from the channels' means.

Hu, Shen, Albanie, Sun and Wu, "Squeeze-and-Excitation Networks", 2018 (arXiv 1709.01507),
eqs. 2 to 4. Differences: the reduced width has a minimum, so that narrow maps keep a bottleneck.
"""

from collections.abc import Callable

from torch import Tensor, nn

from regard.attention.options import reduced_width
from regard.attention.registry import register
from regard.core.shapes import FeatureMap


def squeeze_excite(x: FeatureMap, excite: Callable[[Tensor], Tensor]) -> FeatureMap:
    """Weigh channels by what the whole map holds: x · σ(excite(mean of x over positions)).

    Args:
        x: (batch, channel, height, width).
        excite: from the means, (batch, channel, 1, 1), to scores of the same shape.

    Returns:
        (batch, channel, height, width).

    """
    means = x.mean((2, 3), keepdim=True)
    return x * excite(means).sigmoid()


@register(
    "squeeze_excite",
    kind="gate",
    paper="Hu et al., 2018",
    arxiv="1709.01507",
    examples=[{"reduction": 2, "min_width": 1}, {"min_width": 6}, {"bias": True}],
)
class SqueezeExcite(nn.Module):
    """Squeeze and excitation: two 1×1 convolutions with a ReLU between score the channels.

    Args:
        channels: channels of the feature map.
        reduction: channels over the bottleneck's width (r in the paper).
        min_width: the bottleneck is never narrower than this.
        bias: give the two layers biases; the paper found them to hurt.

    Raises:
        InputError: `channels`, `reduction` or `min_width` below 1.

    """

    def __init__(
        self, channels: int, *, reduction: int = 16, min_width: int = 8, bias: bool = False
    ) -> None:
        super().__init__()
        width = reduced_width(channels, reduction, min_width)
        self.excite = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=bias),
            nn.ReLU(),
            nn.Conv2d(width, channels, 1, bias=bias),
        )

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Weigh the channels: (batch, channel, height, width) to the same shape."""
        return squeeze_excite(x, self.excite)
