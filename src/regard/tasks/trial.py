"""One image through a network before it is trained: whether it can take images of a size."""

import torch
from torch import nn

from regard.core.errors import InputError
from regard.core.modes import evaluating


@torch.no_grad()
def try_size(network: nn.Module, name: str, size: tuple[int, int]) -> None:
    """Run a black image through a network in eval mode, on the CPU.

    Args:
        network: takes images (batch, 3, height, width).
        name: what the user calls it.
        size: (height, width) of the images that it is going to see.

    Raises:
        InputError: the network cannot take images of this size.

    """
    try:
        with evaluating(network):
            network(torch.zeros(1, 3, *size))
    except (AssertionError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{name} cannot take images of {size[0]}×{size[1]} pixels ({reason}); give another size"
        ) from error
