"""U-Net: an encoder, and a decoder that joins its maps from the coarsest to the finest.

Ronneberger, Fischer, Brox, 2015 (arXiv 1505.04597). Differences: every convolution keeps the size
of its map (the paper's lose their border, and predict the middle of the image only); maps are
enlarged by bilinear interpolation to the size of the skip connection, whatever that is, where the
paper has a 2×2 up-convolution; batch norm follows every convolution; the number of channels in
the decoder is free. The encoder may be another network, and where its finest map has a stride
above 1 the logits are interpolated to the size of the images.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.options import at_least
from regard.core.errors import InputError
from regard.core.shapes import FeatureMap, OutputMap
from regard.models.registry import Places, Widening, register
from regard.models.segment.encoder import make_encoder
from regard.models.segment.plain_encoder import double_convolution

PLACES = Places(gate="decoder.*", mixing="bottom")
"""Gates behind every decoder block (Roy, Navab, Wachinger 2018, arXiv 1803.02579, do so too)."""

WIDER = Widening("width", along=("widest",))

SIZE = 224


def enlarged(coarse: Tensor, like: Tensor) -> Tensor:
    """Interpolate a map onto the grid of another; both cover the same area."""
    return F.interpolate(coarse, like.shape[2:], mode="bilinear", align_corners=False)


class DecoderBlock(nn.Module):
    """Enlarges a coarse map, joins the skip connection and convolves twice.

    Args:
        coarse: channels of the coarse map.
        skip: channels of the skip connection.
        width: channels that come out.

    """

    def __init__(self, coarse: int, skip: int, width: int) -> None:
        super().__init__()
        self.convolve = double_convolution(coarse + skip, width)

    def forward(self, coarse: FeatureMap, skip: Tensor) -> OutputMap:
        """(batch, coarse, …) and (batch, skip, height, width) to (batch, width, height, width)."""
        return self.convolve(torch.cat([enlarged(coarse, skip), skip], 1))


class UNet(nn.Module):
    """An encoder's maps, joined from the coarsest to the finest, and a 1×1 convolution.

    Args:
        encoder: with `channels` and `strides`.
        classes: how many classes the head tells apart.
        width: channels of the finest decoder block; they double with each coarser one.
        widest: no decoder block has more channels.

    Raises:
        InputError: a width below 1, or an encoder with one map only.

    """

    block: type[DecoderBlock] = DecoderBlock
    finest_block: type[DecoderBlock] = DecoderBlock

    def __init__(self, encoder: nn.Module, classes: int, *, width: int, widest: int) -> None:
        super().__init__()
        at_least(1, width=width, widest=widest)
        channels: tuple[int, ...] = encoder.channels  # pyright: ignore[reportAssignmentType]
        if len(channels) < 2:
            raise InputError("a U-Net needs an encoder with maps of at least two strides, not one")
        self.encoder = encoder
        self.bottom = nn.Identity()  # a place for attention that mixes positions: they are few
        joins = len(channels) - 1
        blocks, coarse = [], channels[-1]
        for index in reversed(range(joins)):
            kind = self.block if index else self.finest_block
            out = min(width * 2**index, widest)
            blocks.append(kind(coarse, channels[index], out))
            coarse = out
        self.decoder = nn.ModuleList(blocks)
        self.head = nn.Conv2d(coarse, classes, 1)

    def forward(self, images: FeatureMap) -> OutputMap:
        """Images (batch, 3, height, width) to logits (batch, class, height, width)."""
        *skips, x = self.encoder(images)
        x = self.bottom(x)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            x = block(x, skip)
        return enlarged(self.head(x), images)


@register(
    "unet",
    paper="Ronneberger et al., 2015",
    arxiv="1505.04597",
    size=SIZE,
    places=PLACES,
    task="segment",
    widens=WIDER,
)
def unet(classes: int, *, encoder: str = "plain", width: int = 32, widest: int = 512) -> UNet:
    """U-Net on any encoder; on its own one, which has the decoder's width, the paper's at 64."""
    return UNet(encoder_for(encoder, width), classes, width=width, widest=widest)


def encoder_for(word: str, width: int) -> nn.Module:
    """Build an encoder; U-Net's own has the decoder's width unless another is given."""
    return make_encoder(f"plain(width={width})" if word == "plain" else word)
