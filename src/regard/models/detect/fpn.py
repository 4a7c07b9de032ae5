"""Feature pyramid: strong features at every size, from those of a backbone.

Lin, Dollár, Girshick, He, Hariharan, Belongie, "Feature Pyramid Networks for Object Detection",
2016 (arXiv 1612.03144), section 3; further levels as in RetinaNet (arXiv 1708.02002, section 4),
but computed from the pyramid's last map in place of the backbone's. With `upwards`, the path back
up of PANet (Liu et al. 2018, arXiv 1803.01534, section 3.1), which YOLO's necks have.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.options import at_least
from regard.core.errors import InputError
from regard.models.detect.context_attention import ContextAttention


class FeaturePyramid(nn.Module):
    """Lateral 1×1 convolutions, a path down by nearest neighbours, and 3×3 convolutions.

    Args:
        channels_in: channels of the backbone's maps, the finest first.
        channels: of every map of the pyramid.
        extra: how many further levels, each half as large as the one before.
        upwards: whether a path back up follows.

    Attributes:
        attend: for each merging of two maps, a slot for attention of the finer map with the
            coarser as its context.

    Raises:
        InputError: no map, or a number below 1.

    """

    def __init__(
        self, channels_in: Sequence[int], channels: int, *, extra: int = 0, upwards: bool = False
    ) -> None:
        super().__init__()
        if not channels_in:
            raise InputError("a feature pyramid needs at least one map of the backbone")
        at_least(1, channels=channels)
        at_least(0, extra=extra)
        levels = range(len(channels_in))
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in channels_in)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in levels)
        self.extra = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, 2, padding=1) for _ in range(extra)
        )
        rising = levels[1:] if upwards else ()
        self.up = nn.ModuleList(nn.Conv2d(channels, channels, 3, 2, padding=1) for _ in rising)
        self.mix = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in rising)
        self.attend = nn.ModuleList(ContextAttention(channels) for _ in levels[1:])
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone, the finest first, to those of the pyramid; more are not read."""
        read = features[: len(self.lateral)]
        lateral = [layer(x) for layer, x in zip(self.lateral, read, strict=True)]
        merged = [lateral[-1]]
        for level in reversed(range(len(self.attend))):
            fine, coarse = lateral[level], merged[0]
            fine = self.attend[level](fine, coarse)
            merged.insert(0, fine + F.interpolate(coarse, fine.shape[2:], mode="nearest"))
        pyramid = [layer(x) for layer, x in zip(self.smooth, merged, strict=True)]
        for level, (up, mix) in enumerate(zip(self.up, self.mix, strict=True)):
            pyramid[level + 1] = mix(pyramid[level + 1] + up(pyramid[level].relu()))
        for index, layer in enumerate(self.extra):
            pyramid.append(layer(pyramid[-1].relu() if index or self.up else pyramid[-1]))
        return pyramid
