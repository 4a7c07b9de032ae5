"""U-Net's own contracting path: two 3×3 convolutions a level, 2×2 max pooling between levels.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
2015 (arXiv 1505.04597), section 2. Differences: convolutions pad with zeros, so that maps keep
their size (the paper's lose two pixels each, and its skip connections are cropped), and each is
followed by batch norm.
"""

from torch import Tensor, nn

from regard.core.errors import InputError
from regard.core.shapes import FeatureMap


def double_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two times 3×3 convolution, batch norm, ReLU; the size stays."""
    layers: list[nn.Module] = []
    for before in (channels_in, channels_out):
        layers += [
            nn.Conv2d(before, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class PlainEncoder(nn.Module):
    """A level a stride: 1, 2, 4, …; the channels double at every level.

    Args:
        width: channels of the first level (64 in the paper).
        levels: how many (5 in the paper).

    """

    def __init__(self, width: int = 32, levels: int = 5) -> None:
        super().__init__()
        if width < 1 or levels < 2:
            raise InputError(
                f"a plain encoder has a width of at least 1 and 2 levels, not {width} and {levels}"
            )
        self.channels = tuple(width * 2**level for level in range(levels))
        self.strides = tuple(2**level for level in range(levels))
        self.levels = nn.ModuleList(
            double_convolution(before, after)
            for before, after in zip((3, *self.channels), self.channels, strict=False)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: FeatureMap) -> list[Tensor]:
        """Images (batch, 3, height, width) to a map a level, the finest first."""
        maps: list[Tensor] = []
        for level in self.levels:
            maps.append(level(self.pool(maps[-1]) if maps else images))
        return maps
