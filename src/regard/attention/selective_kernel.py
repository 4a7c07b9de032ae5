"""Paths with kernels of several sizes; each channel chooses among them by a softmax.

Li, Wang, Hu and Yang, "Selective Kernel Networks", 2019 (arXiv 1903.06586), eqs. 1 to 6.
Differences: none; large kernels are dilated 3×3 kernels, as in the paper.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.attention.options import divides_channels, reduced_width, require_odd
from regard.attention.registry import register
from regard.core.errors import InputError
from regard.core.shapes import FeatureMap


def selective_kernel(
    paths: Float[Tensor, "batch channel path height width"],
    squeeze: Callable[[Tensor], Tensor],
    choose: Callable[[Tensor], Tensor],
) -> FeatureMap:
    """Mix paths by weights per channel that sum to 1 over the paths.

    Args:
        paths: (batch, channel, path, height, width).
        squeeze: from the means of the paths' sum, (batch, channel, 1, 1), to
            (batch, reduced, 1, 1).
        choose: from that to scores (batch, channel · path, 1, 1), a channel's paths adjacent.

    Returns:
        (batch, channel, height, width).

    """
    means = paths.sum(2).mean((2, 3), keepdim=True)
    scores = choose(squeeze(means)).unflatten(1, paths.shape[1:3])
    weighted = paths * scores.softmax(2)
    # Added one by one: a reduction would lose the channels_last layout.
    return reduce(torch.add, weighted.unbind(2))


@register(
    "selective_kernel",
    kind="gate",
    paper="Li et al., 2019",
    arxiv="1903.06586",
    examples=[
        {"kernel_sizes": (3, 5, 7)},
        {"reduction": 2, "min_width": 1},
        {"min_width": 6},
        {"groups": 2},
    ],
)
class SelectiveKernel(nn.Module):
    """Selective kernel: grouped convolutions as paths, a bottleneck, one softmax a channel.

    Its batch norm needs more than one image in training mode.

    Args:
        channels: channels of the feature map.
        kernel_sizes: one path each, odd and at least 3.
        reduction: channels over the bottleneck's width (r in the paper).
        min_width: the bottleneck is never narrower than this (L in the paper).
        groups: of the paths' convolutions (G in the paper), a divisor of `channels`; default: the
            greatest common divisor of 32 and `channels`.

    Raises:
        InputError: `channels`, `reduction` or `min_width` below 1, fewer than two kernel sizes,
            one that is even or below 3, or `groups` that do not divide `channels`.

    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_sizes: Sequence[int] = (3, 5),
        reduction: int = 16,
        min_width: int = 32,
        groups: int | None = None,
    ) -> None:
        super().__init__()
        width = reduced_width(channels, reduction, min_width)
        if len(kernel_sizes) < 2:
            raise InputError(f"kernel_sizes is {kernel_sizes}; there must be two to choose from")
        if groups is None:
            groups = math.gcd(32, channels)
        divides_channels(channels, groups=groups)
        self.paths = nn.ModuleList(_path(channels, size, groups) for size in kernel_sizes)
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.choose = nn.Conv2d(width, channels * len(kernel_sizes), 1, bias=False)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Convolve and choose: (batch, channel, height, width) to the same shape."""
        paths = torch.stack([path(x) for path in self.paths], 2)
        return selective_kernel(paths, self.squeeze, self.choose)


def _path(channels: int, kernel_size: int, groups: int) -> nn.Sequential:
    require_odd("kernel_sizes", kernel_size, at_least=3)
    dilation = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(
            channels, channels, 3, padding=dilation, dilation=dilation, groups=groups, bias=False
        ),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )
