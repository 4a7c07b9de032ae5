"""The non-local block: every position is improved by a weighted mean over all positions.

Wang, Girshick, Gupta and He, "Non-local Neural Networks", 2018 (arXiv 1711.07971), eqs. 1 to 6,
fig. 2. Differences: two dimensions; pooling keeps what is left over at the border (ceil mode), so
that maps of every size work; the concatenation form of eq. 5 is left out.
"""

from torch import nn
from torch.nn import functional as F

from regard.attention.dot_product import dot_product
from regard.attention.heads import heads_to_map, map_to_heads
from regard.attention.options import at_least, one_of
from regard.attention.registry import register
from regard.core.shapes import FeatureMap, KeyMap, QueryMap, ValueMap

PAIRWISE = ("embedded_gaussian", "gaussian", "dot_product")


def non_local(
    query: QueryMap, key: KeyMap, value: ValueMap, pairwise: str = "embedded_gaussian"
) -> FeatureMap:
    """Return y of eq. 1: the mean of the values, weighted with f(query, key).

    Args:
        query: θ(x), (batch, d, height, width); x itself for `gaussian`.
        key: φ(x), (batch, d, key height, key width); x itself, or pooled, for `gaussian`.
        value: g(x), (batch, channel, key height, key width).
        pairwise: f, one of embedded_gaussian, gaussian (both exp(q·k) over its sum, eqs. 2 and 3)
            and dot_product (q·k over the number of keys, eq. 4).

    Returns:
        (batch, channel, height, width).

    Raises:
        InputError: unknown pairwise function.

    """
    one_of(PAIRWISE, pairwise=pairwise)
    if pairwise != "dot_product":
        # Gaussian queries are wider than the values. The fused kernels want one width for all:
        # zeros fill the values up, and their channels are cut off again.
        spare = max(query.shape[1] - value.shape[1], 0)
        filled = F.pad(value, (0, 0, 0, 0, 0, spare))
        return dot_product(query, key, filled)[:, : value.shape[1]]
    q, k, v = (map_to_heads(x, 1) for x in (query, key, value))
    # No softmax stands between the products, so KᵀV comes first and no N×N matrix is formed.
    return heads_to_map(q @ (k.mT @ v / k.shape[2]), like=query)


@register(
    "non_local",
    kind="softmax",
    paper="Wang et al., 2018",
    arxiv="1711.07971",
    examples=[
        {"pool": 2},
        {"pairwise": "gaussian"},
        {"pairwise": "gaussian", "pool": 4},
        {"pairwise": "dot_product", "reduction": 4, "pool": 2},
        {"batch_norm": False},
    ],
    starts_as_identity=True,
)
class NonLocal(nn.Module):
    """z = W y + x: attention in a bottleneck, added to the map it came from.

    W starts at zero (its batch norm's scale, or itself without batch norm), so a new block is the
    identity, as in the paper.

    Args:
        channels: channels of the feature map.
        pairwise: embedded_gaussian, gaussian or dot_product; see `non_local`. With `dot_product`
            the attention is linear, without a softmax.
        reduction: channels over the bottleneck's width.
        pool: side of the max pooling that thins out keys and values; 1 for none.
        batch_norm: whether a batch norm follows W, as in the paper's experiments.

    Raises:
        InputError: unknown pairwise function, or a bottleneck of no channels.

    """

    def __init__(
        self,
        channels: int,
        *,
        pairwise: str = "embedded_gaussian",
        reduction: int = 2,
        pool: int = 1,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        one_of(PAIRWISE, pairwise=pairwise)
        at_least(1, channels=channels, reduction=reduction, pool=pool)
        width = max(channels // reduction, 1)
        self.pairwise = pairwise
        if pairwise == "gaussian":
            self.query, self.key = nn.Identity(), nn.Identity()
        else:
            self.query = nn.Conv2d(channels, width, 1)
            # With a softmax, a bias on the keys would add the same to every score of a query.
            self.key = nn.Conv2d(channels, width, 1, bias=pairwise == "dot_product")
        self.value = nn.Conv2d(channels, width, 1)
        self.pool = nn.MaxPool2d(pool, ceil_mode=True) if pool > 1 else nn.Identity()
        self.project = nn.Conv2d(width, channels, 1)
        self.norm = nn.BatchNorm2d(channels) if batch_norm else nn.Identity()
        for parameter in (self.norm if batch_norm else self.project).parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        key, value = self.pool(self.key(x)), self.pool(self.value(x))
        mixed = non_local(self.query(x), key, value, self.pairwise)
        return x + self.norm(self.project(mixed))
