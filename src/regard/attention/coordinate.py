"""A gate per row and a gate per column, for every channel.

Hou, Zhou and Feng, "Coordinate Attention for Efficient Mobile Network Design", 2021
(arXiv 2103.02907), eqs. 4 to 9. Differences: none; δ is the hard swish, and the reduced width at
least 8, as in the authors' code.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from regard.attention.options import reduced_width
from regard.attention.registry import register
from regard.core.shapes import FeatureMap


def coordinate(
    x: FeatureMap,
    mix: Callable[[Tensor], Tensor],
    score_rows: Callable[[Tensor], Tensor],
    score_cols: Callable[[Tensor], Tensor],
) -> FeatureMap:
    """Weigh rows and columns by the means along them.

    Args:
        x: (batch, channel, height, width).
        mix: from the means of all rows and then all columns, (batch, channel, height + width, 1),
            to (batch, reduced, height + width, 1), position by position.
        score_rows: from (batch, reduced, height, 1) to scores (batch, channel, height, 1).
        score_cols: from (batch, reduced, 1, width) to scores (batch, channel, 1, width).

    Returns:
        (batch, channel, height, width).

    """
    height, width = x.shape[2:]
    means = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).mT], 2)
    rows, cols = mix(means).split([height, width], 2)
    return x * score_rows(rows).sigmoid() * score_cols(cols.mT).sigmoid()


@register(
    "coordinate",
    kind="gate",
    paper="Hou et al., 2021",
    arxiv="2103.02907",
    examples=[{"reduction": 2, "min_width": 1}, {"min_width": 6}],
)
class Coordinate(nn.Module):
    """Coordinate attention: one shared bottleneck, one 1×1 convolution per direction.

    Args:
        channels: channels of the feature map.
        reduction: channels over the bottleneck's width (r in the paper).
        min_width: the bottleneck is never narrower than this.

    Raises:
        InputError: `channels`, `reduction` or `min_width` below 1.

    """

    def __init__(self, channels: int, *, reduction: int = 32, min_width: int = 8) -> None:
        super().__init__()
        width = reduced_width(channels, reduction, min_width)
        self.mix = nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.BatchNorm2d(width), nn.Hardswish()
        )
        self.score_rows = nn.Conv2d(width, channels, 1)
        self.score_cols = nn.Conv2d(width, channels, 1)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Weigh rows and columns: (batch, channel, height, width) to the same shape."""
        return coordinate(x, self.mix, self.score_rows, self.score_cols)
