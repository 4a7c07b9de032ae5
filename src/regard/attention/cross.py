"""Cross-attention: the positions of one map attend to another map, or to tokens.

Vaswani, Shazeer, Parmar et al., "Attention Is All You Need", 2017 (arXiv 1706.03762), sec. 3.2.3
("encoder-decoder attention"). The paper's queries and keys are words; here the queries are the
positions of a map, and the context may be a map of any size or a set of tokens.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.heads import heads_to_map, map_to_heads, tokens_to_heads
from regard.attention.options import at_least, divides_channels
from regard.attention.registry import register
from regard.core.errors import InputError
from regard.core.shapes import ContextMap, FeatureMap, QueryMap

ContextTokens = Float[Tensor, "batch token context_channel"]


def cross(
    query: QueryMap,
    key: Float[Tensor, "batch token key_channel"],
    value: Float[Tensor, "batch token channel"],
    num_heads: int,
) -> FeatureMap:
    """Let every position attend to every token, in each head: softmax(QKᵀ/√d) V.

    Args:
        query: (batch, heads · d, height, width).
        key: (batch, token, heads · d).
        value: (batch, token, channel).
        num_heads: how many heads.

    Returns:
        (batch, channel, height, width).

    """
    q = map_to_heads(query, num_heads)
    k, v = (tokens_to_heads(x, num_heads) for x in (key, value))
    return heads_to_map(F.scaled_dot_product_attention(q, k, v), like=query)


@register(
    "cross",
    kind="softmax",
    paper="Vaswani et al., 2017",
    arxiv="1706.03762",
    context=True,
    examples=[{"num_heads": 2, "context_channels": 6}],
)
class Cross(nn.Module):
    """Heads of attention from a map to a context; all projections are linear.

    Args:
        channels: channels of the feature map.
        context_channels: channels of the context map, or features of its tokens; default
            `channels`.
        num_heads: how many heads; must divide `channels`.

    Raises:
        InputError: `num_heads` does not divide `channels`; on a call, a context of other channels.

    """

    def __init__(
        self, channels: int, *, context_channels: int | None = None, num_heads: int = 4
    ) -> None:
        super().__init__()
        width = channels if context_channels is None else context_channels
        at_least(1, channels=channels, context_channels=width)
        divides_channels(channels, num_heads=num_heads)
        self.context_channels = width
        self.num_heads = num_heads
        self.query = nn.Conv2d(channels, channels, 1)
        # A bias here would add the same to every score of a query, and the softmax would lose it.
        self.key = nn.Linear(width, channels, bias=False)
        self.value = nn.Linear(width, channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: FeatureMap, context: ContextMap | ContextTokens) -> FeatureMap:
        """Attend from x to the context.

        Args:
            x: (batch, channel, height, width).
            context: (batch, context channel, height, width) of any size, or
                (batch, token, context channel).

        Returns:
            (batch, channel, height, width).

        """
        tokens = context.flatten(2).mT if context.ndim == 4 else context
        if tokens.shape[2] != self.context_channels:
            raise InputError(
                f"cross was made for a context of {self.context_channels} channels and got "
                f"{tuple(context.shape)}; create it with context_channels={tokens.shape[2]}"
            )
        mixed = cross(self.query(x), self.key(tokens), self.value(tokens), self.num_heads)
        return self.project(mixed)
