"""A gate per channel, computed from the means of the neighbouring channels.

Wang, Wu, Zhu, Li, Zuo and Hu, "ECA-Net: Efficient Channel Attention for Deep Convolutional
Neural Networks", 2020 (arXiv 1910.03151), eqs. 9 and 12.
"""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.options import at_least, require_channels, require_odd
from regard.attention.registry import register
from regard.core.errors import InputError
from regard.core.shapes import FeatureMap


def adaptive_kernel_size(channels: int, gamma: float = 2.0, b: float = 1.0) -> int:
    """Return the odd number nearest to |log₂(channels)/gamma + b/gamma|, the larger of two.

    Raises:
        InputError: `channels` below 1 or `gamma` not above 0.

    """
    at_least(1, channels=channels)
    if gamma <= 0:
        raise InputError(f"gamma is {gamma}; it must be above 0")
    return int(abs((math.log2(channels) + b) / gamma)) | 1


def eca(x: FeatureMap, kernel: Float[Tensor, "1 1 size"]) -> FeatureMap:
    """Weigh channels by the means around them: x · σ(kernel * mean of x over positions).

    Args:
        x: (batch, channel, height, width).
        kernel: (1, 1, size), size odd: slides along the channels, zeros beyond both ends.

    Returns:
        (batch, channel, height, width).

    """
    means = x.mean((2, 3)).unsqueeze(1)
    scores = F.conv1d(means, kernel, padding=kernel.shape[2] // 2)
    return x * scores.sigmoid().mT.unsqueeze(3)


@register(
    "eca",
    kind="gate",
    paper="Wang et al., 2020",
    arxiv="1910.03151",
    examples=[{"kernel_size": 5}, {"gamma": 1.0, "b": 3.0}],
)
class ECA(nn.Module):
    """Efficient channel attention: one small kernel slides along the channels' means.

    Args:
        channels: channels of the feature map.
        kernel_size: odd width of the kernel; default: from the number of channels.
        gamma, b: the constants of that rule (see `adaptive_kernel_size`), for when it applies.

    Raises:
        InputError: `kernel_size` even or below 1, `channels` below 1, `gamma` not above 0;
            in `forward`, a map of another number of channels.

    """

    def __init__(
        self, channels: int, *, kernel_size: int | None = None, gamma: float = 2.0, b: float = 1.0
    ) -> None:
        super().__init__()
        adaptive = adaptive_kernel_size(channels, gamma, b)
        size = adaptive if kernel_size is None else kernel_size
        require_odd("kernel_size", size)
        self.channels = channels
        self.slide = nn.Conv1d(1, 1, size, bias=False)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Weigh the channels: (batch, channel, height, width) to the same shape."""
        require_channels("eca", x, self.channels)
        return eca(x, self.slide.weight)
