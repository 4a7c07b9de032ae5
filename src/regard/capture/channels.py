"""Whether an attention mixes tokens or channels.

Cross-covariance attention (El-Nouby et al. 2021, arXiv 2106.09681) and channel attention (Ding et
al. 2022, arXiv 2204.03645) turn the matrices round: each channel of a head is a weighted mean of
its channels, over all tokens at once. In numbers nothing but the sizes tells the two apart.
"""

from torch import Tensor

from regard.core.record import Mixes

Shape = tuple[int, ...]


def mixed_by(value: Tensor, given: Shape | None) -> Mixes:
    """Return what an attention over these values mixes.

    Args:
        value: (batch, heads, key, width).
        given: the shape of what the module was given, (batch, token, channel) or a map.

    """
    _, heads, keys, width = value.shape
    layouts = _layouts(given)
    if any(keys == tokens and width * heads == channels for tokens, channels in layouts):
        both = any(width == tokens and keys * heads == channels for tokens, channels in layouts)
        return _by_memory(value, given) if both else "tokens"
    turned = any(width == tokens and keys * heads == channels for tokens, channels in layouts)
    return "channels" if turned else "tokens"


def _layouts(given: Shape | None) -> set[tuple[int, int]]:
    """Return (tokens, channels), as a shape may be read."""
    if given is None or len(given) < 3:
        return set()
    if len(given) == 3:
        return {(given[1], given[2])}
    return {(given[-2] * given[-1], given[1]), (given[1] * given[2], given[-1])}


def _by_memory(value: Tensor, given: Shape | None) -> Mixes:
    """Tell by how values lie in memory, where a head has as many channels as there are tokens.

    A linear layer puts the channels of a token next to each other; a convolution, the positions
    of a channel.
    """
    channels_next = given is not None and len(given) == 3
    width_next = value.stride(3) < value.stride(2)
    return "tokens" if width_next == channels_next else "channels"
