"""Self-attention over all positions of a feature map, with scores QKᵀ/√d.

Vaswani, Shazeer, Parmar et al., "Attention Is All You Need", 2017 (arXiv 1706.03762), eq. 1.
"""

from torch import nn
from torch.nn import functional as F

from regard.attention.registry import register
from regard.core.shapes import FeatureMap


def scaled_dot_product(query: FeatureMap, key: FeatureMap, value: FeatureMap) -> FeatureMap:
    """Let every position attend to every position: softmax(QKᵀ/√d) V.

    Args:
        query, key: (batch, d, height, width).
        value: (batch, channel, height, width).

    Returns:
        (batch, channel, height, width).

    """
    height, width = query.shape[-2:]
    q, k, v = (x.flatten(2).mT.unsqueeze(1) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(q, k, v)
    return mixed.squeeze(1).mT.unflatten(2, (height, width))


@register(
    "scaled_dot_product",
    kind="softmax",
    paper="Vaswani et al., 2017",
    arxiv="1706.03762",
    examples=[{"key_channels": 4}],
)
class ScaledDotProduct(nn.Module):
    """Single-head self-attention over positions; q, k, v and the output are 1×1 convolutions.

    Args:
        channels: channels of the feature map.
        key_channels: width d of queries and keys; default `channels`.

    """

    def __init__(self, channels: int, *, key_channels: int | None = None) -> None:
        super().__init__()
        width = key_channels or channels
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        mixed = scaled_dot_product(self.query(x), self.key(x), self.value(x))
        return self.project(mixed)
