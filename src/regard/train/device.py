"""Device, precision and several processes, by Lightning Fabric."""

import logging
import os
import warnings
from typing import Any, Literal

import torch

from regard.core.errors import InputError
from regard.core.precision import multiplies_bfloat16

try:
    from lightning_fabric import Fabric
except ModuleNotFoundError:  # the same code under its other name, in the `lightning` package
    from lightning.fabric import Fabric  # pyright: ignore[reportMissingImports]

__all__ = ["Fabric", "cpu_has_bf16", "start_fabric"]


def cpu_has_bf16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware; without that it is slower."""
    return multiplies_bfloat16(torch.device("cpu"))


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    return device == "cpu" and cpu_has_bf16()


def device_for(word: str) -> str:
    """Return the device that a word stands for: `cpu`, `cuda`, `mps`, or `auto`.

    Raises:
        InputError: there is no such device, or this machine has none.

    """
    if word == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if word not in ("cpu", "cuda", "mps"):
        raise InputError(f"unknown device {word!r}; choose auto, cpu, cuda or mps")
    if word == "cuda" and not torch.cuda.is_available():
        raise InputError("this machine has no CUDA device; use --device cpu")
    return word


def start_fabric(
    device: str = "auto", precision: str = "auto", devices: int | Literal["auto"] = 1
) -> Fabric:
    """Choose device and precision and, under torchrun, join the other processes.

    Args:
        device: `cpu`, `cuda`, `mps`, or `auto`, which takes a GPU where there is one.
        precision: `bf16`, `fp32`, or `auto`: bfloat16 where the hardware multiplies it.
        devices: how many; `auto` takes all. With `torchrun`, what it started.

    Raises:
        InputError: a device or precision that this machine does not have.

    """
    device = device_for(device)
    if precision not in ("auto", "bf16", "fp32"):
        raise InputError(f"unknown precision {precision!r}; choose auto, bf16 or fp32")
    if precision == "auto":
        precision = "bf16" if _has_bf16(device) else "fp32"
    mode: Any = {"bf16": "bf16-mixed", "fp32": "32-true"}[precision]
    # Fabric announces what the user just asked for.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    nodes = 1
    if "LOCAL_WORLD_SIZE" in os.environ:  # torchrun started us, and knows how many we are
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fabric = Fabric(accelerator=device, devices=devices, num_nodes=nodes, precision=mode)
        fabric.launch()
    return fabric
