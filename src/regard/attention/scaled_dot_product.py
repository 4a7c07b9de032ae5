"""Self-attention over all positions of a feature map, with scores QKᵀ/√d.

Vaswani, Shazeer, Parmar et al., "Attention Is All You Need", 2017 (arXiv 1706.03762), eq. 1.
The paper's tokens are words; here they are the positions of a map, without a position encoding.
"""

from torch import nn
from torch.nn import functional as F

from regard.attention.heads import heads_to_map, map_to_heads
from regard.attention.options import at_least
from regard.attention.registry import register
from regard.core.shapes import FeatureMap, KeyMap, QueryMap, ValueMap


def scaled_dot_product(query: QueryMap, key: KeyMap, value: ValueMap) -> FeatureMap:
    """Let every query attend to every key: softmax(QKᵀ/√d) V.

    Args:
        query: (batch, d, height, width).
        key: (batch, d, key height, key width).
        value: (batch, channel, key height, key width).

    Returns:
        (batch, channel, height, width).

    """
    q, k, v = (map_to_heads(x, 1) for x in (query, key, value))
    return heads_to_map(F.scaled_dot_product_attention(q, k, v), like=query)


@register(
    "scaled_dot_product",
    kind="softmax",
    paper="Vaswani et al., 2017",
    arxiv="1706.03762",
    examples=[{"width": 4}],
)
class ScaledDotProduct(nn.Module):
    """Single-head self-attention over positions; q, k, v and the output are 1×1 convolutions.

    Args:
        channels: channels of the feature map.
        width: of queries, keys and values (the fused kernels want one for all); default `channels`.

    """

    def __init__(self, channels: int, *, width: int | None = None) -> None:
        super().__init__()
        width = channels if width is None else width
        at_least(1, channels=channels, width=width)
        self.query = nn.Conv2d(channels, width, 1)
        # A bias here would add the same to every score of a query, and the softmax would lose it.
        self.key = nn.Conv2d(channels, width, 1, bias=False)
        self.value = nn.Conv2d(channels, width, 1)
        self.project = nn.Conv2d(width, channels, 1)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        mixed = scaled_dot_product(self.query(x), self.key(x), self.value(x))
        return self.project(mixed)
