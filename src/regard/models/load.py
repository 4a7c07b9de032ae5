"""Models by a word: a bundled one, a run's folder, or an architecture of another library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from regard.core.errors import InputError, unknown_name
from regard.core.packages import require
from regard.core.run_files import CONFIG, WEIGHTS, read_config
from regard.models.build import NetworkSpec, build
from regard.models.photo import dinov2_small, efficientnet_lite0
from regard.models.preprocessing import Preprocessing
from regard.models.vision_model import VisionModel

_BUNDLED = Path(__file__).parent / "bundled"

_PHOTO: dict[str, Callable[[], VisionModel]] = {
    "dinov2-small": dinov2_small,
    "efficientnet-lite0": efficientnet_lite0,
}


def bundled_names() -> list[str]:
    """Return the names after `bundled:`."""
    return sorted(path.parent.name for path in _BUNDLED.glob(f"*/{WEIGHTS}"))


def photo_names() -> list[str]:
    """Return the names after `photo:`."""
    return sorted(_PHOTO)


def load(spec: str | Path) -> VisionModel:
    """Load a model, ready to use and in eval mode.

    Args:
        spec: `bundled:NAME` (in this package), `photo:NAME` (weights from the packages of the
            `photo` extra), `timm:NAME`, or the folder of a training run.

    Raises:
        InputError: no such model, or its files are damaged.
        MissingPackage: the library it comes from is not installed.

    """
    text = str(spec)
    scheme, _, name = text.partition(":")
    if scheme == "bundled":
        if name not in bundled_names():
            raise unknown_name("bundled model", name, bundled_names())
        return load_run(_BUNDLED / name, name=text)
    if scheme == "photo":
        if name not in _PHOTO:
            raise unknown_name("photo model", name, _PHOTO)
        return _PHOTO[name]()
    if scheme == "timm":
        return load_timm(name)
    if Path(spec).is_dir():
        return load_run(Path(spec))
    raise InputError(
        f"no model {text!r}: it is no folder, and no bundled:{{{','.join(bundled_names())}}}, "
        f"photo:{{{','.join(photo_names())}}} or timm:NAME"
    )


def trained_on(spec: str | Path) -> str:
    """Return the words for the data that a run or bundled model was trained on.

    Raises:
        InputError: the model is of another library, which does not say.

    """
    scheme, _, name = str(spec).partition(":")
    folder = _BUNDLED / name if scheme == "bundled" else Path(spec)
    if not folder.is_dir():
        raise InputError(f"give --data: {spec} does not say what data it was trained on")
    return str(read_config(folder)["data"]["source"])


def load_run(folder: Path, *, name: str | None = None) -> VisionModel:
    """Load the model of a run's folder.

    Raises:
        InputError: the folder is no finished run, or its files are damaged.

    """
    config = read_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder} holds an unfinished run; give its training command once more")
    try:
        network = build(NetworkSpec(**config["model"]))
        preprocessing = Preprocessing.from_json(config["preprocessing"])
        labels = tuple(config["labels"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} is damaged: {error}") from error
    network.load_state_dict(_read_weights(folder, network.state_dict()))
    return VisionModel(
        network, name=name or folder.name, preprocessing=preprocessing, labels=labels
    )


def _read_weights(folder: Path, expected: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Read `model.safetensors` and check it against the network before anything is changed."""
    path = folder / WEIGHTS
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}; train again or fetch it again") from error
    for name, tensor in expected.items():
        if name not in tensors or tensors[name].shape != tensor.shape:
            got = tuple(tensors[name].shape) if name in tensors else "nothing"
            raise InputError(
                f"{path} does not fit the network in {CONFIG}: {name} should be "
                f"{tuple(tensor.shape)} and is {got}"
            )
    return {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}


def load_timm(name: str) -> VisionModel:
    """Load a pretrained model of timm with the preprocessing and labels that timm gives it.

    Raises:
        InputError: no such model, or its weights cannot be had (offline).

    """
    timm = require("timm", extra="zoo")
    data = require("timm.data", extra="zoo")
    if not timm.is_model(name.split(".")[0]):
        raise unknown_name("timm model", name, timm.list_models())
    try:
        network = timm.create_model(name, pretrained=True).eval()
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the weights of timm:{name} are neither cached nor to be had ({reason}); connect "
            "once to fetch them, or use a bundled: or photo: model"
        ) from error
    config = data.resolve_model_data_config(network)
    preprocessing = Preprocessing(
        size=tuple(config["input_size"][1:]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        resize="squash" if config["crop_mode"] == "squash" else "crop",
        crop_fraction=config["crop_pct"],
        interpolation=config["interpolation"],
    )
    labels, assumed = _timm_labels(data, network)
    task = "classify" if network.num_classes else "features"
    return VisionModel(
        network,
        name=f"timm:{name}",
        preprocessing=preprocessing,
        labels=labels,
        task=task,
        assumed=assumed,
    )


def _timm_labels(data: Any, network: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class names, and what had to be assumed about them."""
    subset = data.infer_imagenet_subset(network)
    if subset is None:
        numbers = tuple(str(index) for index in range(network.num_classes))
        return numbers, ("timm does not name this model's classes; they are numbered",)
    info = data.ImageNetInfo(subset)
    return tuple(info.index_to_description(i) for i in range(network.num_classes)), ()
