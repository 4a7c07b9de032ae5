"""Multi-head self-attention over positions, with a learned 2-D relative position bias.

Vaswani, Shazeer, Parmar et al., "Attention Is All You Need", 2017 (arXiv 1706.03762), sec. 3.2.2,
with the bias of Liu et al., "Swin Transformer", 2021 (arXiv 2103.14030), eq. 4, over the whole
map instead of a window. Swin's table serves one size; ours is stretched to the map's.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.heads import heads_to_map, map_to_heads
from regard.attention.options import at_least, divides_channels
from regard.attention.registry import register
from regard.attention.relative_position import RelativePositionBias
from regard.core.shapes import FeatureMap, KeyMap, QueryMap, ValueMap


def multi_head(
    query: QueryMap,
    key: KeyMap,
    value: ValueMap,
    num_heads: int,
    bias: Float[Tensor, "head query key"] | None = None,
) -> FeatureMap:
    """Attend in each head by itself: softmax(QKᵀ/√d + bias) V, d the width of a head.

    Args:
        query: (batch, heads · d, height, width).
        key: (batch, heads · d, key height, key width).
        value: (batch, channel, key height, key width); the heads share its channels out too.
        num_heads: how many heads.
        bias: (head, query, key), added to the scores.

    Returns:
        (batch, channel, height, width).

    """
    q, k, v = (map_to_heads(x, num_heads) for x in (query, key, value))
    mask = None if bias is None else bias.to(q.dtype).unsqueeze(0)
    return heads_to_map(F.scaled_dot_product_attention(q, k, v, attn_mask=mask), like=query)


@register(
    "multi_head",
    kind="softmax",
    paper="Vaswani et al., 2017",
    arxiv="1706.03762",
    examples=[
        {"num_heads": 2, "size": (6, 4)},
        {"size": (2, 3)},
        {"num_heads": 1, "position_bias": False},
    ],
)
class MultiHead(nn.Module):
    """Heads of self-attention with a bias for each offset; projections are 1×1 convolutions.

    Args:
        channels: channels of the feature map.
        num_heads: how many heads; must divide `channels`.
        position_bias: whether the scores get a learned bias for the offset of query and key.
        size: (rows, cols) of the maps whose offsets the bias table holds, or one number for a
            square; the table is stretched by bilinear interpolation to maps of other sizes.

    Raises:
        InputError: `num_heads` does not divide `channels`.

    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int = 4,
        position_bias: bool = True,
        size: int | tuple[int, int] = 8,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels)
        divides_channels(channels, num_heads=num_heads)
        self.num_heads = num_heads
        self.query = nn.Conv2d(channels, channels, 1)
        # A bias here would add the same to every score of a query, and the softmax would lose it.
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.bias = RelativePositionBias(num_heads, size) if position_bias else None

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        bias = None if self.bias is None else self.bias(*x.shape[-2:])
        mixed = multi_head(self.query(x), self.key(x), self.value(x), self.num_heads, bias)
        return self.project(mixed)
