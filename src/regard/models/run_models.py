"""Models of training runs: of a run's folder, and those that are bundled with this package."""

from pathlib import Path
from typing import Any

import torch

from regard.core.errors import InputError, unknown_name
from regard.core.run_files import CONFIG, WEIGHTS, read_config
from regard.models.build import NetworkSpec, build
from regard.models.preprocessing import Preprocessing
from regard.models.vision_model import VisionModel
from regard.models.weights_file import read_weights

_BUNDLED = Path(__file__).parent / "bundled"


def bundled_names() -> list[str]:
    """Return the names after `bundled:`."""
    return sorted(path.parent.name for path in _BUNDLED.glob(f"*/{WEIGHTS}"))


def load_bundled(name: str) -> VisionModel:
    """Load a model of this package.

    Raises:
        InputError: no such model.

    """
    if name not in bundled_names():
        raise unknown_name("bundled model", name, bundled_names())
    return load_run(_BUNDLED / name, name=f"bundled:{name}")


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
    if "model_type" in config and "model" not in config:
        raise InputError(f"{folder} is a model of transformers, not a run; write hf:{folder}")
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder} holds an unfinished run; give its training command once more")
    try:
        task = config["task"]
        network = build(NetworkSpec(**config["model"]), task=task)
        preprocessing = Preprocessing.from_json(config["preprocessing"])
        labels = tuple(config["labels"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} is damaged: {error}") from error
    network.load_state_dict(_read_weights(folder, network.state_dict()))
    return VisionModel(
        network, name=name or folder.name, preprocessing=preprocessing, labels=labels, task=task
    )


def _read_weights(folder: Path, expected: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Read `model.safetensors` and check it against the network before anything is changed."""
    path = folder / WEIGHTS
    tensors = read_weights(path).tensors
    for name, tensor in expected.items():
        if name not in tensors or tensors[name].shape != tensor.shape:
            got = tuple(tensors[name].shape) if name in tensors else "nothing"
            raise InputError(
                f"{path} does not fit the network in {CONFIG}: {name} should be "
                f"{tuple(tensor.shape)} and is {got}"
            )
    return {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}
