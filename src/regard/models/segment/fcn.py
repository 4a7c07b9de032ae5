"""Fully convolutional network: classes scored on coarse maps, enlarged and summed.

Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2015 (arXiv
1411.4038), section 4.2: a 1×1 convolution scores the classes on the map of stride 32; FCN-16s
adds the scores of stride 16 to these, enlarged twofold, and FCN-8s those of stride 8. Scores of
the added maps start at zero, as in the paper. Differences: maps are enlarged by bilinear
interpolation, which is what the paper's deconvolutions start as (it learns all but the last);
the encoder may be any; the paper's two fully connected layers of VGG, as convolutions 7×7 and
1×1 with 4096 channels, are here one 3×3 convolution of `width` channels with batch norm, ReLU
and dropout.
"""

from torch import nn

from regard.attention.options import at_least
from regard.core.errors import InputError
from regard.core.shapes import FeatureMap, OutputMap
from regard.models.registry import Places, Widening, register
from regard.models.segment.encoder import make_encoder
from regard.models.segment.unet import SIZE, enlarged

_FINEST = (32, 16, 8)
_LEVELS = 6  # of a plain encoder: strides 1 to 32


class FCN(nn.Module):
    """Scores at the strides 32, 16 and 8 of an encoder, summed.

    Args:
        encoder: with `channels` and `strides`.
        classes: how many classes are scored.
        stride: the finest stride that is scored: 8, 16 or 32.
        width: channels of the convolution before the coarsest scores.
        dropout: share of those channels that is dropped in training.

    Raises:
        InputError: another stride, or the encoder has no map of a stride that is needed.

    """

    def __init__(
        self, encoder: nn.Module, classes: int, *, stride: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        at_least(1, width=width)
        if stride not in _FINEST:
            raise InputError(f"stride={stride}; FCN is FCN-8s, 16s or 32s: give 8, 16 or 32")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout={dropout}; give a share in [0, 1)")
        strides: tuple[int, ...] = encoder.strides  # pyright: ignore[reportAssignmentType]
        channels: tuple[int, ...] = encoder.channels  # pyright: ignore[reportAssignmentType]
        self.scored = [each for each in _FINEST if each >= stride]
        missing = [each for each in self.scored if each not in strides]
        if missing:
            raise InputError(
                f"FCN-{stride}s needs a map of stride {missing[0]}, and the encoder's have the "
                f"strides {', '.join(map(str, strides))}; choose another encoder or stride"
            )
        self.encoder = encoder
        self.at = [strides.index(each) for each in self.scored]
        self.context = nn.Sequential(
            nn.Conv2d(channels[self.at[0]], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Dropout2d(dropout),
        )
        inputs = [width, *(channels[index] for index in self.at[1:])]
        self.score = nn.ModuleList(nn.Conv2d(before, classes, 1) for before in inputs)
        for added in self.score[1:]:
            for parameter in added.parameters():
                nn.init.zeros_(parameter)

    def forward(self, images: FeatureMap) -> OutputMap:
        """Images (batch, 3, height, width) to logits (batch, class, height, width)."""
        maps = self.encoder(images)
        first, *others = (maps[index] for index in self.at)
        total = self.score[0](self.context(first))
        for score, features in zip(self.score[1:], others, strict=True):
            added = score(features)
            total = enlarged(total, added) + added
        return enlarged(total, images)


@register(
    "fcn",
    paper="Long et al., 2015",
    arxiv="1411.4038",
    size=SIZE,
    places=Places(gate="context.2", mixing="context.2"),
    task="segment",
    widens=Widening("width"),
)
def fcn(
    classes: int,
    *,
    encoder: str = "plain(width=16)",
    stride: int = 8,
    width: int = 128,
    dropout: float = 0.1,
) -> FCN:
    """FCN-8s, 16s or 32s on any encoder with maps of the strides 8 to 32."""
    made = make_encoder(encoder, levels=_LEVELS)
    return FCN(made, classes, stride=stride, width=width, dropout=dropout)
