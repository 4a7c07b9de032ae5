"""Self-attention along rows, then along columns: two short sums in place of one over all positions.

Ho, Kalchbrenner, Weissenborn and Salimans, "Axial Attention in Multidimensional Transformers",
2019 (arXiv 1912.12180), sec. 3.1; row after column without anything in between, as in Wang, Zhu,
Green et al., "Axial-DeepLab", 2020 (arXiv 2003.07853). Differences: both papers add positions to
the features or to queries, keys and values; here the scores get a relative position bias.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.heads import heads_to_tokens, in_format_of, tokens_to_heads
from regard.attention.options import at_least, divides_channels, one_of
from regard.attention.registry import register
from regard.attention.relative_position import RelativePositionBias
from regard.core.shapes import FeatureMap, QueryMap

Bias = Float[Tensor, "head place place"]

# From (batch, channel, height, width) to (batch, line, place in the line, channel), and back.
TO_LINES = {"rows": (0, 2, 3, 1), "columns": (0, 3, 2, 1)}
TO_MAP = {"rows": (0, 3, 1, 2), "columns": (0, 3, 2, 1)}


def axial(
    query: QueryMap,
    key: QueryMap,
    value: FeatureMap,
    num_heads: int,
    along: str,
    bias: Bias | None = None,
) -> FeatureMap:
    """Let every position attend to the positions of its row, or of its column.

    Args:
        query: (batch, heads · d, height, width).
        key: (batch, heads · d, height, width).
        value: (batch, channel, height, width).
        num_heads: how many heads.
        along: rows or columns.
        bias: (head, length, length), added to the scores of every row or column.

    Returns:
        (batch, channel, height, width).

    Raises:
        InputError: `along` is neither.

    """
    one_of(TO_LINES, along=along)
    lines = [x.permute(TO_LINES[along]) for x in (query, key, value)]
    q, k, v = (tokens_to_heads(x.flatten(0, 1), num_heads) for x in lines)
    mask = None if bias is None else bias.to(q.dtype).unsqueeze(0)
    mixed = heads_to_tokens(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    mixed = mixed.unflatten(0, lines[0].shape[:2]).permute(TO_MAP[along])
    return in_format_of(query, mixed)


class LineAttention(nn.Module):
    """Multi-head self-attention within each row, or each column; 1×1 convolutions project.

    Args:
        channels: channels of the feature map.
        num_heads: how many heads.
        along: rows or columns.
        size: length of the lines whose offsets the bias table holds; None for no bias.

    """

    def __init__(self, channels: int, num_heads: int, along: str, size: int | None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.along = along
        self.query = nn.Conv2d(channels, channels, 1)
        # A bias here would add the same to every score of a query, and the softmax would lose it.
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.bias = None if size is None else RelativePositionBias(num_heads, (1, size))

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        length = x.shape[3] if self.along == "rows" else x.shape[2]
        bias = None if self.bias is None else self.bias(1, length)
        q, k, v = self.query(x), self.key(x), self.value(x)
        return self.project(axial(q, k, v, self.num_heads, self.along, bias))


@register(
    "axial",
    kind="softmax",
    paper="Ho et al., 2019",
    arxiv="1912.12180",
    examples=[{"num_heads": 2, "size": 5}, {"num_heads": 1, "position_bias": False}],
)
class Axial(nn.Module):
    """Attention within rows, then within columns; after both, all positions have met.

    Args:
        channels: channels of the feature map.
        num_heads: how many heads; must divide `channels`.
        position_bias: whether the scores get a learned bias for the offset of query and key.
        size: side of the maps whose offsets the bias tables hold; they are stretched by linear
            interpolation to maps of other sizes.

    Raises:
        InputError: `num_heads` does not divide `channels`.

    """

    def __init__(
        self, channels: int, *, num_heads: int = 4, position_bias: bool = True, size: int = 8
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, size=size)
        divides_channels(channels, num_heads=num_heads)
        bias_size = size if position_bias else None
        self.rows = LineAttention(channels, num_heads, "rows", bias_size)
        self.columns = LineAttention(channels, num_heads, "columns", bias_size)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        return self.columns(self.rows(x))
