"""A gate for every element, from the sum of channel scores and position scores.

Park, Woo, Lee and Kweon, "BAM: Bottleneck Attention Module", 2018 (arXiv 1807.06514),
eqs. 1 to 5. Differences: the bottleneck has a minimal width. The order of batch norms follows
the equations (one at the end of each branch); between layers there is a ReLU, which the
equations leave out and the authors' code has.
"""

from collections.abc import Callable

from torch import Tensor, nn

from regard.attention.options import at_least, reduced_width
from regard.attention.registry import register
from regard.core.shapes import FeatureMap


def bam(
    x: FeatureMap,
    score_channels: Callable[[Tensor], Tensor],
    score_positions: Callable[[Tensor], Tensor],
) -> FeatureMap:
    """Strengthen what both branches point at: x + x · σ(channel scores + position scores).

    Args:
        x: (batch, channel, height, width).
        score_channels: from the means, (batch, channel, 1, 1), to scores of that shape.
        score_positions: from x to scores (batch, 1, height, width).

    Returns:
        (batch, channel, height, width).

    """
    means = x.mean((2, 3), keepdim=True)
    gate = (score_channels(means) + score_positions(x)).sigmoid()
    return x + x * gate


@register(
    "bam",
    kind="gate",
    paper="Park et al., 2018",
    arxiv="1807.06514",
    examples=[{"reduction": 2, "min_width": 1}, {"min_width": 6}, {"dilation": 2}],
)
class BAM(nn.Module):
    """Bottleneck attention: an MLP scores channels, dilated 3×3 convolutions score positions.

    Its batch norm needs more than one image in training mode.

    Args:
        channels: channels of the feature map.
        reduction: channels over the width of both bottlenecks (r in the paper).
        min_width: the bottlenecks are never narrower than this.
        dilation: of the two 3×3 convolutions (d in the paper).

    Raises:
        InputError: `channels`, `reduction`, `min_width` or `dilation` below 1.

    """

    def __init__(
        self, channels: int, *, reduction: int = 16, min_width: int = 8, dilation: int = 4
    ) -> None:
        super().__init__()
        at_least(1, dilation=dilation)
        width = reduced_width(channels, reduction, min_width)
        self.score_channels = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, channels, 1),
            nn.BatchNorm2d(channels),
        )
        self.score_positions = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1),
            nn.BatchNorm2d(1),
        )

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Weigh every element: (batch, channel, height, width) to the same shape."""
        return bam(x, self.score_channels, self.score_positions)
