"""Checkpoints that survive `kill -9`: written whole, then renamed; read without unpickling code."""

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from regard.core.errors import InputError
from regard.core.files import atomic_write


@dataclass
class Progress:
    """How far a training run is.

    Attributes:
        epoch: the epoch to go on with.
        step: the step of that epoch to go on with.
        sums: sums over the steps already done in that epoch (see `regard.train.objective.summed`);
            empty before the first.

    """

    epoch: int = 0
    step: int = 0
    sums: list[float] = field(default_factory=list)


def save_checkpoint(path: Path, state: dict[str, Any], progress: Progress) -> None:
    """Write the state of training; an older checkpoint stays until the new one is on the disk."""
    content = {**state, "progress": vars(progress)}
    with atomic_write(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path, device: torch.device) -> tuple[dict[str, Any], Progress]:
    """Read what `save_checkpoint` wrote.

    Raises:
        InputError: the file is not such a checkpoint.

    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        progress = Progress(**content.pop("progress"))
    except (RuntimeError, pickle.UnpicklingError, KeyError, TypeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} is not a checkpoint of this version of Regard ({reason}); "
            f"delete it to start {os.fspath(path.parent)} anew"
        ) from error
    return content, progress
