"""External attention: positions attend to a small learned memory that all images share.

Guo, Liu, Mu and Hu, "Beyond Self-attention: External Attention using Two Linear Layers for Visual
Tasks", 2021 (arXiv 2105.02358), eqs. 5 to 9, and its multi-head form (alg. 2). Differences: the
authors' block adds a batch norm, the input and a ReLU behind it; these are left to the network.
"""

from jaxtyping import Float
from torch import Tensor, nn

from regard.attention.heads import heads_to_map, map_to_heads
from regard.attention.options import at_least, divides_channels
from regard.attention.registry import register
from regard.core.shapes import FeatureMap

Memory = Float[Tensor, "unit feature"]

# For a position that no unit prefers. The authors' code adds it to every position's total.
SMALLEST_TOTAL = 1e-9


def external(query: FeatureMap, keys: Memory, values: Memory, num_heads: int = 1) -> FeatureMap:
    """Attend to the memory, with the paper's double normalisation.

    The scores are first softmaxed over the positions, for each unit, and then divided by their
    sum over the units, for each position.

    Args:
        query: (batch, heads · feature, height, width).
        keys: (unit, feature), shared by all heads.
        values: (unit, feature), shared by all heads.
        num_heads: how many heads.

    Returns:
        (batch, heads · feature, height, width).

    """
    q = map_to_heads(query, num_heads)
    weights = (q @ keys.mT).softmax(dim=-2)
    total = weights.sum(dim=-1, keepdim=True)
    weights = weights / total.clamp(min=SMALLEST_TOTAL)
    return heads_to_map(weights @ values, like=query)


@register(
    "external",
    kind="softmax",
    paper="Guo et al., 2021",
    arxiv="2105.02358",
    fused=False,  # the double normalisation is no softmax that a fused kernel knows
    examples=[{"memory": 5}, {"num_heads": 2, "memory": 3}],
)
class External(nn.Module):
    """Attention to learned memory units; query and output are 1×1 convolutions.

    Args:
        channels: channels of the feature map.
        memory: how many units the memory has (S in the paper).
        num_heads: how many heads; must divide `channels`.

    Raises:
        InputError: `num_heads` does not divide `channels`.

    """

    def __init__(self, channels: int, *, memory: int = 64, num_heads: int = 1) -> None:
        super().__init__()
        at_least(1, channels=channels, memory=memory)
        divides_channels(channels, num_heads=num_heads)
        width = channels // num_heads
        self.num_heads = num_heads
        # The softmax over positions would lose a bias on the queries.
        self.query = nn.Conv2d(channels, channels, 1, bias=False)
        self.keys = nn.Linear(width, memory, bias=False)
        self.values = nn.Linear(memory, width, bias=False)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        keys, values = self.keys.weight, self.values.weight.mT
        return self.project(external(self.query(x), keys, values, self.num_heads))
