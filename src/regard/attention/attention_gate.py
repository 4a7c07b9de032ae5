"""A gate per position of a skip connection, computed together with a coarser, later map.

Oktay, Schlemper, Le Folgoc et al., "Attention U-Net: Learning Where to Look for the Pancreas",
2018 (arXiv 1804.03999), eqs. 1 and 2. Both maps meet on the coarse grid of the gating signal and
the coefficients are interpolated back onto the features. Differences: two dimensions; features
reach the coarse grid through a 1×1 convolution and bilinear interpolation, for any ratio of
sizes (at a ratio of 2 that is the mean of 2×2 cells, at larger ones of the central 2×2), where
the authors' code has a 2×2 convolution of stride 2; grids are aligned by the areas they cover,
not by their corner cells; the 1×1 convolution and batch norm that the authors' code adds behind
the gate are left to the network.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.options import at_least
from regard.attention.registry import register
from regard.core.shapes import ContextMap, FeatureMap


def attention_gate(
    x: FeatureMap,
    feature: Float[Tensor, "batch inner height width"],
    gating: Float[Tensor, "batch inner coarse_height coarse_width"],
    score: Callable[[Tensor], Tensor],
) -> FeatureMap:
    """Weigh positions of x by α = σ(score(ReLU(feature + gating))), formed on the gating's grid.

    Args:
        x: (batch, channel, height, width).
        feature: x projected, (batch, inner, height, width); resampled to the gating's grid.
        gating: the gating signal projected, (batch, inner, coarse height, coarse width).
        score: from their rectified sum to scores, (batch, 1, coarse height, coarse width).

    Returns:
        (batch, channel, height, width).

    """
    coarse = _resample(feature, gating)
    coefficients = score((coarse + gating).relu()).sigmoid()
    return x * _resample(coefficients, x)


def _resample(source: Tensor, target: Tensor) -> Tensor:
    """Interpolate onto the target's grid; both cover the same area."""
    return F.interpolate(source, target.shape[2:], mode="bilinear", align_corners=False)


@register(
    "attention_gate",
    kind="gate",
    paper="Oktay et al., 2018",
    arxiv="1804.03999",
    context=True,
    examples=[{"context_channels": 6}, {"width": 3}],
)
class AttentionGate(nn.Module):
    """Additive attention gate of Attention U-Net.

    Args:
        channels: channels of the features, which the skip connection carries.
        context_channels: channels of the gating signal; default `channels`.
        width: channels in which both are added (F_int in the paper); default half of `channels`.

    Raises:
        InputError: `channels`, `context_channels` or `width` below 1.

    """

    def __init__(
        self, channels: int, *, context_channels: int | None = None, width: int | None = None
    ) -> None:
        super().__init__()
        context_channels = channels if context_channels is None else context_channels
        width = max(channels // 2, 1) if width is None else width
        at_least(1, channels=channels, context_channels=context_channels, width=width)
        # The sum needs one bias; the gating signal's carries it, as in the paper.
        self.feature = nn.Conv2d(channels, width, 1, bias=False)
        self.gating = nn.Conv2d(context_channels, width, 1)
        self.score = nn.Conv2d(width, 1, 1)

    def forward(self, x: FeatureMap, context: ContextMap) -> FeatureMap:
        """Gate x by the gating signal.

        Args:
            x: (batch, channel, height, width).
            context: the gating signal, (batch, context channel, coarse height, coarse width).

        Returns:
            (batch, channel, height, width).

        """
        return attention_gate(x, self.feature(x), self.gating(context), self.score)
