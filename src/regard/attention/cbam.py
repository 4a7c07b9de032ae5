"""A gate per channel, then a gate per position, each from an average and a maximum.

Woo, Park, Lee and Kweon, "CBAM: Convolutional Block Attention Module", 2018
(arXiv 1807.06521), eqs. 1 to 3. Differences: the bottleneck has a minimal width. The equations
are followed where the authors' code adds to them (biases in the MLP, batch norm on the spatial
scores).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from regard.attention.options import reduced_width, require_odd
from regard.attention.registry import register
from regard.core.shapes import FeatureMap


def cbam(
    x: FeatureMap,
    score_channels: Callable[[Tensor], Tensor],
    score_positions: Callable[[Tensor], Tensor],
) -> FeatureMap:
    """Weigh channels, then positions, by averages and maxima over the other axes.

    Args:
        x: (batch, channel, height, width).
        score_channels: from means or maxima, (batch, channel, 1, 1), to scores of that shape;
            shared by both, whose scores are added.
        score_positions: from mean and maximum over channels, (batch, 2, height, width), to
            scores (batch, 1, height, width).

    Returns:
        (batch, channel, height, width).

    """
    means, maxima = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    x = x * (score_channels(means) + score_channels(maxima)).sigmoid()
    pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
    return x * score_positions(pooled).sigmoid()


@register(
    "cbam",
    kind="gate",
    paper="Woo et al., 2018",
    arxiv="1807.06521",
    examples=[{"reduction": 2, "min_width": 1}, {"min_width": 6}, {"kernel_size": 3}],
)
class CBAM(nn.Module):
    """Convolutional block attention: channels through a shared MLP, positions through one kernel.

    Args:
        channels: channels of the feature map.
        reduction: channels over the MLP's width (r in the paper).
        min_width: the MLP is never narrower than this.
        kernel_size: odd width of the kernel that scores positions.

    Raises:
        InputError: `channels`, `reduction` or `min_width` below 1, or `kernel_size` even.

    """

    def __init__(
        self, channels: int, *, reduction: int = 16, min_width: int = 8, kernel_size: int = 7
    ) -> None:
        super().__init__()
        require_odd("kernel_size", kernel_size)
        width = reduced_width(channels, reduction, min_width)
        self.score_channels = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(width, channels, 1, bias=False),
        )
        self.score_positions = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Weigh channels and positions: (batch, channel, height, width) to the same shape."""
        return cbam(x, self.score_channels, self.score_positions)
