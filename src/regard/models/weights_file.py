"""Tensors out of a weights file, without running anything that the file says.

safetensors holds nothing but tensors. PyTorch's own format is pickle, which can run any code when
it is read; it is read with torch's restricted reader, and what that refuses is refused.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from regard.core.errors import InputError

SAFETENSORS = ".safetensors"
PICKLES = (".pt", ".pth", ".bin", ".ckpt")

# Where training scripts keep the weights beside other things; averaged weights come first, as they
# are what a run is evaluated with.
_CONTAINERS = (
    "state_dict_ema",
    "model_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "network",
)


class Weights(NamedTuple):
    """What a file holds.

    Attributes:
        tensors: by name.
        taken: where in the file they were, one sentence each; empty if they are all that it holds.

    """

    tensors: dict[str, Tensor]
    taken: tuple[str, ...]


def is_weights_file(path: Path) -> bool:
    """Return whether the name is that of a weights file."""
    return path.suffix in (SAFETENSORS, *PICKLES)


def read_weights(path: Path) -> Weights:
    """Read the tensors of a `.safetensors` file, or of PyTorch's `.pt`, `.pth`, `.bin`, `.ckpt`.

    Raises:
        InputError: there is no such file, it is damaged, it holds no weights, or it holds Python
            objects beside them (they are not unpickled).

    """
    if not path.is_file():
        raise InputError(f"no weights file {str(path)!r}; check the path")
    if path.suffix == SAFETENSORS:
        return Weights(_read_safetensors(path), ())
    if path.suffix not in PICKLES:
        known = ", ".join((SAFETENSORS, *PICKLES))
        raise InputError(f"{path} is no weights file that can be read; give one of {known}")
    return _unwrapped(_read_pickle(path), path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}; save it again or fetch it again") from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds Python objects beside its weights (or is damaged), and unpickling those "
            "can run any code; save the weights alone: "
            "safetensors.torch.save_file(model.state_dict(), …)"
        ) from error
    except Exception as error:  # a damaged pickle fails in any way
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is damaged: {reason}; save it again or fetch it again") from error


def _unwrapped(content: Any, path: Path) -> Weights:
    """Find the tensors in what a training script saved."""
    taken: list[str] = []
    while isinstance(content, Mapping) and not any(isinstance(v, Tensor) for v in content.values()):
        inner = next((k for k in _CONTAINERS if isinstance(content.get(k), Mapping)), None)
        if inner is None:
            break
        beside = [k for k in _CONTAINERS if k != inner and isinstance(content.get(k), Mapping)]
        also = f" (it holds {', '.join(beside)} too)" if beside else ""
        taken.append(f"the weights are those that {path.name} keeps under {inner!r}{also}")
        content = content[inner]
    tensors = content.items() if isinstance(content, Mapping) else ()
    found = {str(name): value for name, value in tensors if isinstance(value, Tensor)}
    if not found:
        raise InputError(
            f"{path} holds no weights: expected tensors by name, or a dictionary with them under "
            f"one of {', '.join(_CONTAINERS)}"
        )
    return Weights(found, tuple(taken))
