"""One softmax over all positions pools a context vector, which is added to or gates every position.

Cao, Xu, Lin, Wei and Hu, "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and
Beyond", 2019 (arXiv 1904.11492), eq. 5. Differences: the pooling is written as one learned query
that attends to all positions; the bias of the paper's 1×1 convolution shifts every score alike,
so the softmax loses it and it is left out. The bottleneck has a minimal width.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.heads import map_to_heads
from regard.attention.options import one_of, reduced_width
from regard.attention.registry import register
from regard.core.shapes import FeatureMap

FUSIONS = ("add", "multiply")


def global_context(
    x: FeatureMap,
    query: Float[Tensor, " channel"],
    transform: Callable[[Tensor], Tensor],
    *,
    fusion: str = "add",
) -> FeatureMap:
    """Pool one context by softmax over positions, transform it, and fuse it with each position.

    Args:
        x: (batch, channel, height, width).
        query: (channel,); its dot product with a position's features is that position's score.
        transform: from contexts, (batch, channel), to the same shape.
        fusion: `add` gives x + context, `multiply` gives x · σ(context).

    Returns:
        (batch, channel, height, width).

    Raises:
        InputError: an unknown fusion.

    """
    one_of(FUSIONS, fusion=fusion)
    batch, channels = x.shape[:2]
    tokens = map_to_heads(x, 1)
    asking = query.expand(batch, 1, 1, channels)
    pooled = F.scaled_dot_product_attention(asking, tokens, tokens, scale=1.0)
    context = transform(pooled[:, 0, 0])[:, :, None, None]
    return x + context if fusion == "add" else x * context.sigmoid()


@register(
    "global_context",
    kind="softmax",
    paper="Cao et al., 2019",
    arxiv="1904.11492",
    examples=[
        {"reduction": 2, "min_width": 1},
        {"min_width": 6},
        {"fusion": "multiply"},
    ],
)
class GlobalContext(nn.Module):
    """Global context block: softmax pooling, bottleneck with layer norm, fusion.

    Args:
        channels: channels of the feature map.
        reduction: channels over the bottleneck's width (r in the paper).
        min_width: the bottleneck is never narrower than this.
        fusion: `add` (the paper's choice) or `multiply`.

    Raises:
        InputError: `channels`, `reduction` or `min_width` below 1, or an unknown fusion.

    """

    def __init__(
        self, channels: int, *, reduction: int = 16, min_width: int = 8, fusion: str = "add"
    ) -> None:
        super().__init__()
        one_of(FUSIONS, fusion=fusion)
        width = reduced_width(channels, reduction, min_width)
        self.fusion = fusion
        self.query = nn.Parameter(torch.randn(channels) / channels**0.5)
        self.transform = nn.Sequential(
            nn.Linear(channels, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, channels),
        )

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Fuse the context: (batch, channel, height, width) to the same shape."""
        return global_context(x, self.query, self.transform, fusion=self.fusion)
