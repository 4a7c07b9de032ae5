"""Regard's own networks, filled with a weights file."""

from pathlib import Path
from typing import Any

from torch import nn

from regard.models.build import NetworkSpec, build, find_network
from regard.models.checkpoint import fill_from_file
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from regard.models.vision_model import VisionModel

# So many that no other axis of a network is a multiple of it, and the head's is known by it.
_TELLTALE = 1009


def load_own(name: str, options: dict[str, Any], weights: Path) -> VisionModel:
    """Load one of the networks that `regard list models` names, with the weights of a file.

    Args:
        name: a registered network.
        options: its own, and `attention` as `regard train` takes it.
        weights: the file.

    Raises:
        InputError: no such network or option, or the file does not fit.

    """
    network = find_network(name)
    own = {key: value for key, value in options.items() if key != "attention"}

    def make(classes: int) -> nn.Module:
        return build(NetworkSpec(name, classes, options.get("attention"), own))

    filled = fill_from_file(make, _TELLTALE, weights, name=name)
    side = own.get("size", network.size)
    return VisionModel(
        filled.network,
        name=f"{name}@{weights.name}",
        preprocessing=Preprocessing((side, side), IMAGENET_MEAN, IMAGENET_STD),
        labels=tuple(str(index) for index in range(filled.classes)),
        assumed=(
            *filled.assumed,
            "a weights file names no classes; they are numbered",
            f"a weights file does not say how images are prepared; they are cropped to "
            f"{side}×{side} pixels and normalised as for ImageNet",
        ),
    )
