"""Attention pooling: one query gathers a map into a vector.

Radford, Kim, Hallacy et al., "Learning Transferable Visual Models From Natural Language
Supervision" (CLIP), 2021 (arXiv 2103.00020), sec. 2.4 and the authors' `AttentionPool2d`: the query
is the mean over positions, which is also a key. As an option the query is learned instead, as in
Lee, Lee, Kim et al., "Set Transformer", 2019 (arXiv 1810.00825), eq. 11. Differences: CLIP's
position embedding is optional, fits maps of any size, and the mean gets its embedding apart from
the positions' table; the output keeps the map's channels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.heads import heads_to_tokens, tokens_to_heads
from regard.attention.options import at_least, divides_channels, one_of, rows_and_cols
from regard.attention.registry import register
from regard.attention.relative_position import resize
from regard.core.shapes import FeatureMap, Tokens, Vector

QUERIES = ("mean", "learned")


def attention_pool(query: Vector, key: Tokens, value: Tokens, num_heads: int) -> Vector:
    """Let one query an image attend to its tokens, in each head: softmax(qKᵀ/√d) V.

    Args:
        query: (batch, channel).
        key: (batch, token, channel).
        value: (batch, token, channel).
        num_heads: how many heads.

    Returns:
        (batch, channel).

    """
    q, k, v = (tokens_to_heads(x, num_heads) for x in (query.unsqueeze(1), key, value))
    return heads_to_tokens(F.scaled_dot_product_attention(q, k, v)).squeeze(1)


@register(
    "attention_pool",
    kind="softmax",
    paper="Radford et al., 2021",
    arxiv="2103.00020",
    output="vector",
    examples=[
        {"size": (6, 4), "num_heads": 2},
        {"size": 3},
        {"query": "learned"},
        {"query": "learned", "size": 7},
    ],
)
class AttentionPool(nn.Module):
    """Pool a map into a vector by multi-head attention; the projections are linear.

    Args:
        channels: channels of the feature map.
        query: what asks: `mean` (the mean over positions, also the first key) or `learned`.
        num_heads: how many heads; must divide `channels`.
        size: (rows, cols) of the maps that the learned position embedding is for, or one number
            for a square; stretched by bilinear interpolation to other sizes. None: no embedding.

    Raises:
        InputError: `num_heads` does not divide `channels`, or unknown query.

    """

    def __init__(
        self,
        channels: int,
        *,
        query: str = "mean",
        num_heads: int = 4,
        size: int | tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels)
        divides_channels(channels, num_heads=num_heads)
        one_of(QUERIES, query=query)
        self.num_heads = num_heads

        def embedding(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(channels, *shape) / channels**0.5)

        self.seed = embedding() if query == "learned" else None
        self.positions = None if size is None else embedding(*rows_and_cols(size))
        at_mean = query == "mean" and size is not None
        self.mean_position = embedding() if at_mean else None
        self.query = nn.Linear(channels, channels)
        # A bias here would add the same to every score of a query, and the softmax would lose it.
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: FeatureMap) -> Vector:
        """Pool: (batch, channel, height, width) to (batch, channel)."""
        query, tokens = self._query_and_tokens(x)
        pooled = attention_pool(
            self.query(query), self.key(tokens), self.value(tokens), self.num_heads
        )
        return self.project(pooled)

    def _query_and_tokens(
        self, x: FeatureMap
    ) -> tuple[Vector, Float[Tensor, "batch token channel"]]:
        tokens = x if self.positions is None else x + resize(self.positions, *x.shape[-2:])
        tokens = tokens.flatten(2).mT
        if self.seed is not None:
            return self.seed.expand(x.shape[0], -1), tokens
        mean = x.mean((2, 3))
        if self.mean_position is not None:
            mean = mean + self.mean_position
        return mean, torch.cat([mean.unsqueeze(1), tokens], dim=1)
