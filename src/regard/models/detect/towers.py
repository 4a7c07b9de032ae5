"""The decoupled head: one tower of convolutions for classes, one for boxes, shared by all levels.

RetinaNet's subnets (Lin et al. 2017, arXiv 1708.02002, section 4), with a group norm behind each
convolution as in FCOS (Tian et al. 2019, arXiv 1904.01355): it needs no large batch. Narrower and
less deep by default than the papers' 4 × 256, so that they train on a CPU.
"""

from torch import Tensor, nn

from regard.attention.options import at_least
from regard.models.detect.context_attention import ContextAttention
from regard.models.detect.focal_loss import prior_bias
from regard.models.registry import Widening

_GROUP = 8
"""Channels that are normalised together, at least."""

TOWERS_WIDER = Widening("channels", step=_GROUP)
"""By whole groups: a wider network is to be normalised as the one that it is compared with."""


class Towers(nn.Module):
    """Two towers and their last convolutions.

    Args:
        channels: of the pyramid's maps.
        depth: convolutions of each tower.
        class_numbers, box_numbers: how many numbers come out of each, for a cell.
        prior: the probability of each class at the start.

    Raises:
        InputError: a number below 1, or a prior outside (0, 1).

    """

    def __init__(
        self, channels: int, depth: int, class_numbers: int, box_numbers: int, *, prior: float
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, depth=depth)
        self.attend = ContextAttention(channels)
        self.class_tower = _tower(channels, depth)
        self.box_tower = _tower(channels, depth)
        self.class_out = nn.Conv2d(channels, class_numbers, 3, padding=1)
        self.box_out = nn.Conv2d(channels, box_numbers, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, (1.0 / (9 * channels)) ** 0.5)
        for out in (self.class_out, self.box_out):
            nn.init.normal_(out.weight, 0.0, 0.01)
        nn.init.constant_(_bias(self.class_out), prior_bias(prior))
        nn.init.zeros_(_bias(self.box_out))

    def forward(self, pyramid: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Maps (batch, channel, height, width) to, for each, the maps of both towers."""
        attended = [self.attend(level, pyramid[-1]) for level in pyramid]
        return [
            (self.class_out(self.class_tower(level)), self.box_out(self.box_tower(level)))
            for level in attended
        ]


def _tower(channels: int, depth: int) -> nn.Sequential:
    tower = nn.Sequential()
    groups = max(1, channels // _GROUP)
    while channels % groups:
        groups -= 1
    for _ in range(depth):
        tower.append(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        tower.append(nn.GroupNorm(groups, channels))
        tower.append(nn.ReLU(inplace=True))
    return tower


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
