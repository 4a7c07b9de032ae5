"""A gate for every element, without parameters: how far it stands out from its channel.

Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional
Neural Networks", ICML 2021 (PMLR 139), eqs. 5 and 6. Differences: none; the variance divides by
the number of positions as in the paper, where the authors' code divides by one less (which a 1×1
map does not have).
"""

from torch import nn

from regard.attention.options import require_channels
from regard.attention.registry import register
from regard.core.errors import InputError
from regard.core.shapes import FeatureMap


def simam(x: FeatureMap, e_lambda: float = 1e-4) -> FeatureMap:
    """Weigh each element by how easily it is told from the others of its channel: x · σ(1/e*).

    1/e* = (x - μ)² / (4(σ² + λ)) + 1/2, with μ and σ² over the positions of a channel.

    Args:
        x: (batch, channel, height, width).
        e_lambda: λ, in units of x².

    Returns:
        (batch, channel, height, width).

    """
    squares = (x - x.mean((2, 3), keepdim=True)).square()
    variance = squares.mean((2, 3), keepdim=True)
    inverse_energy = squares / (4 * (variance + e_lambda)) + 0.5
    return x * inverse_energy.sigmoid()


@register(
    "simam",
    kind="gate",
    paper="Yang et al., 2021",
    examples=[{"e_lambda": 0.5}],
)
class SimAM(nn.Module):
    """SimAM: a closed-form gate without parameters.

    Args:
        channels: channels of the feature map.
        e_lambda: the energy's regulariser λ, above 0.

    Raises:
        InputError: `e_lambda` not above 0; in `forward`, a map of another number of channels.

    """

    def __init__(self, channels: int, *, e_lambda: float = 1e-4) -> None:
        super().__init__()
        if e_lambda <= 0:
            raise InputError(f"e_lambda is {e_lambda}; it must be above 0")
        self.channels = channels
        self.e_lambda = e_lambda

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Weigh every element: (batch, channel, height, width) to the same shape."""
        require_channels("simam", x, self.channels)
        return simam(x, self.e_lambda)
