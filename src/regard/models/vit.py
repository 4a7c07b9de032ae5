"""A small vision transformer that keeps its tokens on their grid.

Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020 (arXiv 2010.11929), with the plain
baseline's changes of Beyer, Zhai, Kolesnikov 2022 (arXiv 2205.01580): fixed 2-D sine-cosine
positions and average pooling in place of a class token. Because tokens stay a feature map
(batch, channel, row, col), every mechanism of `regard.attention` can take a block's place or
stand behind it.
"""

import torch
from torch import Tensor, nn

from regard.attention import create
from regard.core.errors import InputError
from regard.core.shapes import FeatureMap, OutputMap
from regard.models.registry import Places, register


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a feature map."""

    def forward(self, input: FeatureMap) -> FeatureMap:
        """(batch, channel, height, width) to the same."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, mixer: str, **options: object) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(width)
        self.attention = create(mixer, width, **options)
        self.norm2 = ChannelNorm(width)
        self.mlp = nn.Sequential(
            nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
        )

    def forward(self, x: FeatureMap) -> FeatureMap:
        """(batch, channel, row, col) to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def sine_positions(width: int, rows: int, cols: int) -> Tensor:
    """Return fixed 2-D sine-cosine positions (width, rows, cols), as in MoCo v3 (2104.02057)."""
    rates = 10_000 ** (-torch.arange(width // 4) / (width // 4))

    def waves(count: int) -> Tensor:
        angles = torch.arange(count)[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], dim=1).T

    down = waves(rows)[:, :, None].expand(-1, rows, cols)
    across = waves(cols)[:, None, :].expand(-1, rows, cols)
    return torch.cat([down, across])


class ViT(nn.Module):
    """A vision transformer on feature maps.

    Args:
        classes: how many classes the head tells apart.
        patch: side of a patch in pixels.
        width: channels of a token, a multiple of 4 and of the heads.
        depth: number of blocks (`blocks.0`, …).
        heads: attention heads in each block.

    """

    def __init__(self, classes: int, *, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        if width % 4:
            raise InputError(f"width {width} is not a multiple of 4, which the positions need")
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        # Positions are given in by `sine_positions`, so the heads need no bias of their own.
        options = {"num_heads": heads, "position_bias": False}
        self.blocks = nn.Sequential(*(Block(width, "multi_head", **options) for _ in range(depth)))
        self.norm = ChannelNorm(width)
        self.head = nn.Linear(width, classes)

    def forward_features(self, x: FeatureMap) -> OutputMap:
        """Images (batch, 3, height, width) to tokens on their grid (batch, width, row, col)."""
        x = self.patch_embed(x)
        x = x + sine_positions(*x.shape[1:]).to(x)
        return self.norm(self.blocks(x))

    def forward(self, x: FeatureMap) -> Tensor:
        """Images (batch, 3, height, width) to logits (batch, class)."""
        return self.head(self.forward_features(x).mean((2, 3)))


@register(
    "vit",
    paper="Dosovitskiy et al., 2020",
    arxiv="2010.11929",
    size=32,
    places=Places(gate="blocks.*", mixing="norm"),
)
def vit(classes: int, *, patch: int = 4, width: int = 192, depth: int = 6, heads: int = 3) -> ViT:
    """A small vision transformer for small images: 6 blocks of 3 heads on 4×4-pixel patches."""
    return ViT(classes, patch=patch, width=width, depth=depth, heads=heads)
