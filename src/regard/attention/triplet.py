"""Three gates, each over two of the axes channel, height and width, averaged.

Misra, Nalamada, Arasanipalai and Hou, "Rotate to Attend: Convolutional Triplet Attention
Module", 2020 (arXiv 2010.03045), eqs. 1 to 4. Differences: none in the result; the gate is
turned back before the product, where the paper turns the product.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from regard.attention.options import require_channels, require_odd
from regard.attention.registry import register
from regard.core.shapes import FeatureMap


def triplet(x: FeatureMap, branches: Mapping[int, Callable[[Tensor], Tensor]]) -> FeatureMap:
    """Average x · σ(scores) over branches that each pool one axis by maximum and mean.

    Args:
        x: (batch, channel, height, width).
        branches: by the pooled axis (1 channel, 2 height, 3 width): from maximum and mean over
            it, (batch, 2, a, b), to scores (batch, 1, a, b); (a, b) is (height, width),
            (channel, width) or (height, channel).

    Returns:
        (batch, channel, height, width).

    """
    total = torch.zeros_like(x)
    for axis, score in branches.items():
        turned = x.transpose(1, axis)
        pooled = torch.cat([turned.amax(1, keepdim=True), turned.mean(1, keepdim=True)], 1)
        total = total + x * score(pooled).sigmoid().transpose(1, axis)
    return total / len(branches)


@register(
    "triplet",
    kind="gate",
    paper="Misra et al., 2020",
    arxiv="2010.03045",
    examples=[{"kernel_size": 3}, {"spatial": False}],
)
class Triplet(nn.Module):
    """Triplet attention: one kernel and batch norm for each pair of axes.

    Args:
        channels: channels of the feature map; no weight depends on them.
        kernel_size: odd width of the three kernels.
        spatial: False leaves out the branch over height and width, for networks that have
            spatial attention already.

    Raises:
        InputError: `kernel_size` even or below 1; in `forward`, a map of another number of
            channels.

    """

    def __init__(self, channels: int, *, kernel_size: int = 7, spatial: bool = True) -> None:
        super().__init__()
        require_odd("kernel_size", kernel_size)
        self.channels = channels
        self.pooling_height = _score(kernel_size)
        self.pooling_width = _score(kernel_size)
        self.pooling_channels = _score(kernel_size) if spatial else None

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Weigh by pairs of axes: (batch, channel, height, width) to the same shape."""
        require_channels("triplet", x, self.channels)
        branches: dict[int, nn.Module] = {2: self.pooling_height, 3: self.pooling_width}
        if self.pooling_channels is not None:
            branches[1] = self.pooling_channels
        return triplet(x, branches)


def _score(kernel_size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(1),
    )
