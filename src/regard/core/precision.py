"""In which precision stored attention is computed with, and which is fast where."""

import torch
from torch import Tensor


def at_least_single(tensor: Tensor) -> Tensor:
    """Return half precision as float32: the rounding of stored tensors should not add to it."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return True if a device multiplies bfloat16 in hardware; without that it is slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
