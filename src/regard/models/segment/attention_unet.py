"""Attention U-Net: U-Net whose skip connections pass a gate that the coarser map decides.

Oktay, Schlemper, Le Folgoc et al., 2018 (arXiv 1804.03999), figure 1 and section 2.2: the gate's
signal is the decoder's map one stride coarser, and the finest skip connection has no gate, since
its features are too simple. Differences: those of our U-Net (see `unet`) and of our gate (see
`regard.attention.attention_gate`); two dimensions; no deep supervision.
"""

import torch
from torch import Tensor

from regard.attention.attention_gate import AttentionGate
from regard.core.shapes import FeatureMap, OutputMap
from regard.models.registry import register
from regard.models.segment.unet import (
    PLACES,
    SIZE,
    WIDER,
    DecoderBlock,
    UNet,
    encoder_for,
    enlarged,
)


class GatedBlock(DecoderBlock):
    """A decoder block that weighs the positions of its skip connection first."""

    def __init__(self, coarse: int, skip: int, width: int) -> None:
        super().__init__(coarse, skip, width)
        self.gate = AttentionGate(skip, context_channels=coarse)

    def forward(self, coarse: FeatureMap, skip: Tensor) -> OutputMap:
        """(batch, coarse, …) and (batch, skip, height, width) to (batch, width, height, width)."""
        gated = self.gate(skip, coarse)
        return self.convolve(torch.cat([enlarged(coarse, skip), gated], 1))


class AttentionUNet(UNet):
    """U-Net with gated skip connections, all but the finest."""

    block = GatedBlock


@register(
    "attention_unet",
    paper="Oktay et al., 2018",
    arxiv="1804.03999",
    size=SIZE,
    places=PLACES,
    task="segment",
    widens=WIDER,
)
def attention_unet(
    classes: int, *, encoder: str = "plain", width: int = 32, widest: int = 512
) -> AttentionUNet:
    """Attention U-Net on any encoder; its gates are what `regard.capture` sees."""
    return AttentionUNet(encoder_for(encoder, width), classes, width=width, widest=widest)
