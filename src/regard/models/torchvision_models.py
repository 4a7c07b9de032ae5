"""Models of torchvision: classification, detection and segmentation."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from regard.core.errors import InputError, unknown_name
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.models.checkpoint import fill_from_file
from regard.models.preprocessing import Preprocessing
from regard.models.vision_model import Task, VisionModel

_REFUSED = ("weights", "num_classes", "progress")
_TASKS: dict[str, Task] = {"detection": "detect", "segmentation": "segment"}
_UNCHANGED_MEAN, _UNCHANGED_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
_NOT_IMAGES = ("quantization", "video", "optical_flow")


def load_torchvision(
    name: str, options: Mapping[str, Any] | None = None, weights: Path | None = None
) -> VisionModel:
    """Load a model of torchvision with the preprocessing and labels of its weights.

    Args:
        name: as in `torchvision.models.list_models`; `NAME.WEIGHTS`, such as
            `resnet50.IMAGENET1K_V1`, for other weights than the default ones.
        options: of the architecture, such as `aux_loss`.
        weights: a file; None for torchvision's own weights, cached or fetched.

    Raises:
        InputError: no such model, weights or option, the weights cannot be had (offline), the file
            does not fit, or torchvision's compiled operators are missing and needed.

    """
    models = require("torchvision.models", extra="zoo")
    options = dict(options or {})
    name, _, version = name.partition(".")
    task = _task(models, name)
    for option in options:
        if option.startswith(_REFUSED):
            raise InputError(f"torchvision:{name} takes no {option!r} here; leave it out")
    theirs = _weights(models, name, version)
    preprocessing, assumed = _preprocessing(theirs.transforms())
    if weights is None:
        labels = tuple(theirs.meta.get("categories", ()))
        with preserved_random_state():
            network = _create(models, name, options, weights=_fetched(theirs, name)).eval()
        named = f"torchvision:{name}" + (f".{version}" if version else "")
    else:
        network, labels, about = _from_file(models, name, options, task, theirs, weights)
        named, assumed = f"torchvision:{name}@{weights.name}", (*about, *assumed)
    if task == "detect":
        preprocessing, rule = _for_detector(network)
        assumed = (*assumed, rule)
    return VisionModel(
        network, name=named, preprocessing=preprocessing, labels=labels, task=task, assumed=assumed
    )


def _from_file(
    models: Any, name: str, options: dict[str, Any], task: Task, theirs: Any, weights: Path
) -> tuple[nn.Module, tuple[str, ...], tuple[str, ...]]:
    """Return an architecture with a file's weights, its labels, and what was assumed."""
    labels = tuple(theirs.meta.get("categories", ()))
    backbone = {} if task == "classify" else {"weights_backbone": None}

    def make(classes: int) -> nn.Module:
        return _create(models, name, options, weights=None, num_classes=classes, **backbone)

    filled = fill_from_file(make, len(labels), weights, name=f"torchvision:{name}")
    own = f"torchvision's weights {theirs.name}"
    if filled.classes == len(labels):
        said = f"the {filled.classes} classes are taken to be those of {own}"
    else:
        labels = tuple(str(index) for index in range(filled.classes))
        said = "the weights file does not name its classes; they are numbered"
    about = (*filled.assumed, f"images are prepared as for {own}", said)
    return filled.network, labels, about


def _task(models: Any, name: str) -> Task:
    """Return the task of an architecture, which is the package that it is in.

    Raises:
        InputError: no such architecture, or not one of images, or it cannot run here.

    """
    if name not in models.list_models():
        raise unknown_name("torchvision model", name, models.list_models())
    parts = models.get_model_builder(name).__module__.split(".")
    if any(part in _NOT_IMAGES for part in parts):
        raise InputError(
            f"torchvision:{name} is of {parts[2]}; choose a model of classification, detection or "
            "segmentation"
        )
    tasks: list[Task] = [_TASKS[part] for part in parts if part in _TASKS]
    task = tasks[0] if tasks else "classify"
    if task == "detect" and not require("torchvision.extension", extra="zoo")._has_ops():
        raise InputError(
            f"torchvision:{name} needs torchvision's compiled operators, and these are for another "
            "torch; install torch and torchvision together from one index, or use an hf: detector"
        )
    return task


def _weights(models: Any, name: str, version: str) -> Any:
    versions = models.get_model_weights(name)
    if not version:
        return versions.DEFAULT
    if version not in versions.__members__:
        raise unknown_name(f"weights of torchvision:{name}", version, versions.__members__)
    return versions[version]


def _fetched(weights: Any, name: str) -> Any:
    """Have the weights in torch's cache, and know that reading them runs no code.

    torchvision reads them once more, but without the restriction to tensors.
    """
    try:
        torch.hub.load_state_dict_from_url(
            weights.url, map_location="cpu", check_hash=True, weights_only=True
        )
    except pickle.UnpicklingError as error:
        raise InputError(
            f"the cached weights of torchvision:{name} hold Python objects; delete "
            f"{Path(torch.hub.get_dir()) / 'checkpoints' / Path(weights.url).name}"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the weights of torchvision:{name} are neither cached nor to be had ({reason}); "
            "connect once to fetch them, give a file (torchvision:NAME@FILE), or use a bundled: "
            "or photo: model"
        ) from error
    return weights


def _create(models: Any, name: str, options: dict[str, Any], **fixed: Any) -> nn.Module:
    try:
        return models.get_model(name, **fixed, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"torchvision:{name}: {error}") from error


def _preprocessing(preset: Any) -> tuple[Preprocessing, tuple[str, ...]]:
    """Return what one of torchvision's presets does to a picture."""
    if not hasattr(preset, "mean"):  # a detector's: to [0, 1], and no more
        return Preprocessing((800, 800), _UNCHANGED_MEAN, _UNCHANGED_STD, "squash"), ()
    resized = preset.resize_size[0] if preset.resize_size else 520
    common = {
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
        "interpolation": preset.interpolation.value,
    }
    crop = getattr(preset, "crop_size", None)
    if crop is not None:
        side = crop[0]
        return Preprocessing((side, side), crop_fraction=min(1.0, side / resized), **common), ()
    return Preprocessing((resized, resized), resize="squash", **common), (
        f"torchvision scales pictures to {resized} pixels on the shorter side; here they are "
        f"scaled to {resized}×{resized}",
    )


def _for_detector(network: nn.Module) -> tuple[Preprocessing, str]:
    """Return the size to which a detector scales its images; it normalises them itself."""
    inner: Any = network.transform
    side = inner.fixed_size[1] if inner.fixed_size else inner.min_size[-1]
    rule = f"to {side}×{side}" if inner.fixed_size else f"to {side} pixels on the shorter side"
    said = f"the detector scales images itself, {rule}; here pictures are made {side}×{side} before"
    preprocessing = Preprocessing(
        (side, side), _UNCHANGED_MEAN, _UNCHANGED_STD, resize="squash", interpolation="bilinear"
    )
    return preprocessing, said
