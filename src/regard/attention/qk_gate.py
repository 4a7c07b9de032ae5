"""The textbook gate σ(Q·K)⊙V: each position asks itself how much of it should pass.

Courses and blog posts present it as "attention in a CNN"; no paper owns it. Unlike
self-attention (Vaswani et al., 2017) no position looks at another: position p is weighed with
the score q_p·k_p, and only σ = softmax lets the positions compete.
"""

from collections.abc import Callable

from torch import Tensor, nn

from regard.attention.options import at_least, one_of
from regard.attention.registry import register
from regard.core.shapes import FeatureMap, QueryMap


def _softmax_over_positions(scores: Tensor) -> Tensor:
    return scores.flatten(2).softmax(-1).unflatten(2, scores.shape[-2:])


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": _softmax_over_positions,
    "sigmoid": Tensor.sigmoid,
    "relu": Tensor.relu,
}


def qk_gate(
    query: QueryMap, key: QueryMap, value: FeatureMap, activation: str = "softmax"
) -> FeatureMap:
    """Weigh every position's value by σ of the product of its own query and key.

    Args:
        query: (batch, d, height, width).
        key: (batch, d, height, width).
        value: (batch, channel, height, width).
        activation: σ, one of softmax (over all positions), sigmoid, relu.

    Returns:
        (batch, channel, height, width).

    Raises:
        InputError: unknown activation.

    """
    one_of(ACTIVATIONS, activation=activation)
    scores = (query * key).sum(1, keepdim=True)
    return ACTIVATIONS[activation](scores) * value


@register(
    "qk_gate",
    kind="gate",
    paper="textbook form, no single paper",
    examples=[{"activation": "sigmoid"}, {"activation": "relu", "key_channels": 4}],
)
class QKGate(nn.Module):
    """The gate σ(Q·K)⊙V; q, k and v are 1×1 convolutions.

    Args:
        channels: channels of the feature map.
        activation: σ, one of softmax (over all positions), sigmoid, relu.
        key_channels: width of queries and keys; default `channels`.

    Raises:
        InputError: unknown activation.

    """

    def __init__(
        self, channels: int, *, activation: str = "softmax", key_channels: int | None = None
    ) -> None:
        super().__init__()
        width = channels if key_channels is None else key_channels
        at_least(1, channels=channels, key_channels=width)
        one_of(ACTIVATIONS, activation=activation)
        self.activation = activation
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Gate: (batch, channel, height, width) to the same shape."""
        return qk_gate(self.query(x), self.key(x), self.value(x), self.activation)
