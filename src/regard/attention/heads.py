"""Tokens and feature maps as heads, and back."""

import torch
from jaxtyping import Float
from torch import Tensor

from regard.core.shapes import FeatureMap, Heads

ChannelTokens = Float[Tensor, "batch token channel"]


def tokens_to_heads(tokens: ChannelTokens, num_heads: int) -> Heads:
    """Share the channels out: (batch, token, channel) to (batch, head, token, feature)."""
    # The fused kernels want a token's features side by side; without this copy (none is made
    # where they are), SDPA would fall back to its slow path without a word.
    return tokens.contiguous().unflatten(2, (num_heads, -1)).transpose(1, 2)


def heads_to_tokens(heads: Heads) -> ChannelTokens:
    """Undo `tokens_to_heads`: (batch, head, token, feature) to (batch, token, channel)."""
    return heads.transpose(1, 2).flatten(2)


def map_to_heads(x: FeatureMap, num_heads: int) -> Heads:
    """Cut a map into heads of tokens, token = row * width + col.

    Args:
        x: (batch, channel, height, width); `num_heads` divides channel.
        num_heads: how many heads.

    Returns:
        (batch, head, token, feature).

    """
    return tokens_to_heads(x.flatten(2).mT, num_heads)


def heads_to_map(heads: Heads, like: Tensor) -> FeatureMap:
    """Undo `map_to_heads`.

    Args:
        heads: (batch, head, token, feature).
        like: (batch, any, height, width); gives the height, width and memory format.

    Returns:
        (batch, channel, height, width).

    """
    return in_format_of(like, heads_to_tokens(heads).mT.unflatten(2, like.shape[-2:]))


def in_format_of(like: Tensor, x: FeatureMap) -> FeatureMap:
    """Lay x out in memory as `like` is: contiguous, or else channels_last.

    So a mechanism leaves the maps of a contiguous network contiguous (`x.view(…)` behind it goes
    on working) and those of a channels_last network channels_last (nothing is copied).
    """
    if like.is_contiguous():
        return x.contiguous()
    return x.contiguous(memory_format=torch.channels_last)
