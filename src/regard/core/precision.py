"""In which precision stored attention is computed with."""

import torch
from torch import Tensor


def at_least_single(tensor: Tensor) -> Tensor:
    """Return half precision as float32: the rounding of stored tensors should not add to it."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor
