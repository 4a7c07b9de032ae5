"""Linear attention: a product of features in place of the softmax, so no N×N matrix is needed.

Katharopoulos, Vyas, Pappas and Fleuret, "Transformers are RNNs", 2020 (arXiv 2006.16236),
eqs. 5 to 7, with φ = elu + 1; and, as an option, Shen, Zhang, Zhao et al., "Efficient Attention",
2018 (arXiv 1812.01243), eq. 6, which softmaxes queries over features and keys over positions.
Differences: the normaliser is kept above 1e-6 where the authors' code adds 1e-6 to it, which
leaves all but vanishing rows exact; Shen's residual connection is left to the network.
"""

from torch import Tensor, nn

from regard.attention.heads import heads_to_map, map_to_heads
from regard.attention.options import at_least, divides_channels, one_of
from regard.attention.registry import register
from regard.core.shapes import FeatureMap, KeyMap, QueryMap, ValueMap

FEATURE_MAPS = ("elu", "softmax")
SMALLEST_NORMALISER = 1e-6


def _elu_plus_one(x: Tensor) -> Tensor:
    # Two terms, of which one is constant, so that exp(x) is not lost to rounding beside the 1.
    return x.relu() + x.clamp(max=0).exp()


def linear(
    query: QueryMap, key: KeyMap, value: ValueMap, num_heads: int, feature_map: str = "elu"
) -> FeatureMap:
    """Attend with weights φ(q)·φ(k), divided by their sum, in time linear in the positions.

    Args:
        query: (batch, heads · d, height, width).
        key: (batch, heads · d, key height, key width).
        value: (batch, channel, key height, key width).
        num_heads: how many heads.
        feature_map: φ: `elu` (elu + 1 of both), or `softmax` (of queries over the features, of
            keys over the positions, whose weights sum to 1 as they are).

    Returns:
        (batch, channel, height, width).

    Raises:
        InputError: unknown feature map.

    """
    one_of(FEATURE_MAPS, feature_map=feature_map)
    q, k, v = (map_to_heads(x, num_heads) for x in (query, key, value))
    if feature_map == "softmax":
        q, k = q.softmax(-1), k.softmax(-2)
        return heads_to_map(q @ (k.mT @ v), like=query)
    q, k = _elu_plus_one(q), _elu_plus_one(k)
    normaliser = q @ k.sum(-2).unsqueeze(-1)
    mixed = q @ (k.mT @ v) / normaliser.clamp(min=SMALLEST_NORMALISER)
    return heads_to_map(mixed, like=query)


@register(
    "linear",
    kind="linear",
    paper="Katharopoulos et al., 2020",
    arxiv="2006.16236",
    examples=[{"num_heads": 2}, {"feature_map": "softmax"}],
)
class Linear(nn.Module):
    """Heads of linear attention over positions; projections are 1×1 convolutions.

    Args:
        channels: channels of the feature map.
        num_heads: how many heads; must divide `channels`.
        feature_map: elu or softmax; see `linear`.

    Raises:
        InputError: `num_heads` does not divide `channels`, or unknown feature map.

    """

    def __init__(self, channels: int, *, num_heads: int = 4, feature_map: str = "elu") -> None:
        super().__init__()
        at_least(1, channels=channels)
        divides_channels(channels, num_heads=num_heads)
        one_of(FEATURE_MAPS, feature_map=feature_map)
        self.num_heads = num_heads
        self.feature_map = feature_map
        self.query = nn.Conv2d(channels, channels, 1)
        # Shen's softmax over positions would lose a bias on the keys.
        self.key = nn.Conv2d(channels, channels, 1, bias=feature_map == "elu")
        self.value = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        q, k, v = self.query(x), self.key(x), self.value(x)
        return self.project(linear(q, k, v, self.num_heads, self.feature_map))
