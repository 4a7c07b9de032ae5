"""Multi-head self-attention within windows, plain or shifted.

Liu, Lin, Cao et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
2021 (arXiv 2103.14030), eqs. 2 to 4 and fig. 4. Differences: a map that is no multiple of the
window is padded at its bottom and right, and the padding is masked, so that nothing attends to it
(the authors pad for detection only and let it be attended to). As in the authors' code, an axis
that fits into one window is not shifted.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.heads import heads_to_tokens, in_format_of, tokens_to_heads
from regard.attention.options import at_least, divides_channels
from regard.attention.registry import register
from regard.attention.relative_position import RelativePositionBias
from regard.core.errors import InputError
from regard.core.shapes import FeatureMap, QueryMap

Axes = tuple[int, int]
WindowTokens = Float[Tensor, "window token channel"]


def _windows_along(length: int, side: int) -> int:
    return (length + side - 1) // side


def to_windows(x: FeatureMap, side: int, shift: Axes) -> WindowTokens:
    """Pad a map with zeros at its bottom and right, shift it up and left, cut it into windows.

    What the shift pushes over the edge comes back at the other side.

    Args:
        x: (batch, channel, height, width).
        side: of a window, in positions.
        shift: positions up and to the left.

    Returns:
        (batch · windows, side², channel), the windows of an image in reading order.

    """
    height, width = x.shape[-2:]
    rows, cols = _windows_along(height, side), _windows_along(width, side)
    x = F.pad(x, (0, cols * side - width, 0, rows * side - height))
    x = x.roll((-shift[0], -shift[1]), (2, 3))
    x = x.unflatten(3, (cols, side)).unflatten(2, (rows, side))
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)


def from_windows(windows: WindowTokens, side: int, shift: Axes, like: Tensor) -> FeatureMap:
    """Undo `to_windows`; `like`, (batch, any, height, width), gives the size and memory format."""
    height, width = like.shape[-2:]
    rows, cols = _windows_along(height, side), _windows_along(width, side)
    x = windows.unflatten(1, (side, side)).unflatten(0, (-1, rows, cols))
    x = x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3).roll(shift, (2, 3))
    return in_format_of(like, x[:, :, :height, :width])


def visible(
    height: int, width: int, side: int, shift: Axes, device: torch.device
) -> Bool[Tensor, "window query key"]:
    """Say which pairs of a window may meet: those that are neighbours in the map.

    The shift brings positions from the top and the left edge into the last windows; they meet
    each other there, and nobody else. Padding meets only padding, so that no query is left
    without a key.

    Returns:
        (window, side², side²), True where the query sees the key.

    """
    came_round = [
        torch.arange(length, device=device) < moved
        for length, moved in zip((height, width), shift, strict=True)
    ]
    region = 1.0 + 2 * came_round[0][:, None] + came_round[1]
    region = to_windows(region[None, None], side, shift)
    return region == region.mT


def window(
    query: QueryMap,
    key: QueryMap,
    value: FeatureMap,
    num_heads: int,
    side: int,
    *,
    shifted: bool = False,
    bias: Float[Tensor, "head place place"] | None = None,
) -> FeatureMap:
    """Let every position attend to the positions of its window.

    Args:
        query: (batch, heads · d, height, width).
        key: (batch, heads · d, height, width).
        value: (batch, channel, height, width).
        num_heads: how many heads.
        side: of a window, in positions.
        shifted: move the windows by half a side, along each axis that has more than one window.
        bias: (head, side², side²), added to the scores of every window.

    Returns:
        (batch, channel, height, width).

    """
    batch, _, height, width = query.shape
    half = side // 2 if shifted else 0
    shift = (half if height > side else 0, half if width > side else 0)
    windows = (to_windows(x, side, shift) for x in (query, key, value))
    q, k, v = (tokens_to_heads(x, num_heads) for x in windows)
    mask = None if bias is None else bias.to(q.dtype).unsqueeze(0)
    if any(shift) or height % side or width % side:
        pairs = visible(height, width, side, shift, query.device).unsqueeze(1)
        mask = pairs if mask is None else mask.masked_fill(~pairs, float("-inf"))
        mask = mask.repeat(batch, 1, 1, 1)
    mixed = heads_to_tokens(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    return from_windows(mixed, side, shift, like=query)


@register(
    "window",
    kind="softmax",
    paper="Liu et al., 2021",
    arxiv="2103.14030",
    examples=[
        {"shifted": True, "window_size": 4},
        {"shifted": True, "window_size": 3, "num_heads": 2},
        {"shifted": True, "window_size": 2, "position_bias": False},
        {"window_size": 2},
    ],
)
class Window(nn.Module):
    """Self-attention within windows of one size; projections are 1×1 convolutions.

    Swin alternates plain and shifted layers, so that windows exchange what they hold.

    Args:
        channels: channels of the feature map.
        window_size: side of a window, in positions.
        shifted: move the windows by half a side, along each axis that has more than one window.
        num_heads: how many heads; must divide `channels`.
        position_bias: whether the scores get a learned bias for the offset of query and key.

    Raises:
        InputError: `num_heads` does not divide `channels`, or `shifted` windows of side 1.

    """

    def __init__(
        self,
        channels: int,
        *,
        window_size: int = 7,
        shifted: bool = False,
        num_heads: int = 4,
        position_bias: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, window_size=window_size)
        divides_channels(channels, num_heads=num_heads)
        if shifted and window_size == 1:
            raise InputError("shifted=True needs windows of at least 2; window_size is 1")
        self.num_heads = num_heads
        self.window_size = window_size
        self.shifted = shifted
        self.query = nn.Conv2d(channels, channels, 1)
        # A bias here would add the same to every score of a query, and the softmax would lose it.
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.bias = RelativePositionBias(num_heads, window_size) if position_bias else None

    def forward(self, x: FeatureMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same shape."""
        side = self.window_size
        bias = None if self.bias is None else self.bias(side, side)
        q, k, v = self.query(x), self.key(x), self.value(x)
        mixed = window(q, k, v, self.num_heads, side, shifted=self.shifted, bias=bias)
        return self.project(mixed)
