"""Models of transformers, from the Hugging Face hub or a folder."""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.core.shapes import Images
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from regard.models.timm_models import timm_preprocessing
from regard.models.transformers_processor import preprocessing_of
from regard.models.vision_model import Task, VisionModel

# transformers' tables of architectures, each with the class that picks among them.
_TABLES: tuple[tuple[Task, str, str], ...] = (
    ("classify", "IMAGE_CLASSIFICATION", "AutoModelForImageClassification"),
    ("detect", "OBJECT_DETECTION", "AutoModelForObjectDetection"),
    ("segment", "SEMANTIC_SEGMENTATION", "AutoModelForSemanticSegmentation"),
    ("segment", "UNIVERSAL_SEGMENTATION", "AutoModelForUniversalSegmentation"),
    ("segment", "INSTANCE_SEGMENTATION", "AutoModelForInstanceSegmentation"),
)


class ImageTower(nn.Module):
    """A model of images and texts as a function of images: their embeddings.

    Args:
        model: has `get_image_features`.

    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Images) -> Float[Tensor, "batch feature"]:
        """Return the embeddings of preprocessed images, in the space shared with texts."""
        model: Any = self.model
        found = model.get_image_features(pixel_values=images)
        return found if isinstance(found, Tensor) else found.pooler_output


class BlueFirst(nn.Module):
    """A network that was trained on BGR images, as a function of RGB images.

    Args:
        model: called with images whose channels are turned round.

    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Images) -> Any:
        """Return the network's output for preprocessed images (batch, 3, height, width)."""
        return self.model(images.flip(1))


class _Kind(NamedTuple):
    """What a repository's configuration says that it is."""

    task: Task
    auto: str
    assumed: tuple[str, ...] = ()


def load_transformers(name: str) -> VisionModel:
    """Load a model of transformers with the preprocessing and labels of its repository.

    Code that a repository brings along is never run, and weights are read from safetensors alone.

    Args:
        name: `ORG/NAME` on the hub, or a folder that `save_pretrained` wrote.

    Raises:
        InputError: there is no such repository, it cannot be had (offline), its model takes more
            than images, or its weights are damaged, incomplete or not in safetensors.

    """
    transformers = require("transformers", extra="zoo")
    if name.startswith("~"):
        name = str(Path(name).expanduser())
    _check_folder(name)
    config = _from_hub(name, transformers.AutoConfig.from_pretrained, trust_remote_code=False)
    kind = _kind(transformers, config, name)
    network, left_out = _network(transformers, config, kind, name)
    preprocessing, blue_first, prepared = _preprocessing(transformers, config, name)
    labels, labelled = _labels(config) if kind.task != "features" else ((), ())
    model = ImageTower(network) if _is_dual(type(network)) else network
    return VisionModel(
        BlueFirst(model) if blue_first else model,
        name=f"hf:{name}",
        preprocessing=preprocessing,
        labels=labels,
        task=kind.task,
        assumed=(*kind.assumed, *left_out, *prepared, *labelled),
    )


def _check_folder(name: str) -> None:
    """Refuse a folder that lacks what it needs, before transformers takes it for a hub's name."""
    folder = Path(name)
    if not folder.is_dir():
        if name.count("/") > 1 or name.startswith((".", "/")):
            raise InputError(f"no folder {name!r}; write hf:ORG/NAME or hf:FOLDER")
        return
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no config.json; give a folder of save_pretrained")
    if not any(folder.glob("*.safetensors")):
        raise _no_safetensors(name)


def _no_safetensors(name: str) -> InputError:
    return InputError(
        f"hf:{name} holds no weights in safetensors, and others are not read because unpickling "
        "can run any code; convert them where you trust them: model.save_pretrained(FOLDER)"
    )


def _from_hub(name: str, get: Any, **options: Any) -> Any:
    """Call a `from_pretrained`; what it fails for is told in one line."""
    try:
        with preserved_random_state(), _quiet():
            return get(name, **options)
    except SafetensorError as error:
        raise InputError(f"the weights of hf:{name} are damaged: {error}; fetch again") from error
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if "safetensors" in reason:
            raise _no_safetensors(name) from error
        if "custom code" in reason or "trust_remote_code" in str(error):
            raise InputError(
                f"hf:{name} brings code of its own, which Regard does not run; load it yourself "
                "where you trust it, and pass it as regard.VisionModel(network, …)"
            ) from error
        if "mismatched" in reason:
            reason = "its weights do not have the shapes that its config.json says"
        if Path(name).is_dir() or not isinstance(error, OSError):
            raise InputError(f"hf:{name} cannot be loaded: {reason}") from error
        raise InputError(
            f"hf:{name} is neither cached nor to be had ({reason.rstrip('.')}); connect once to "
            "fetch it, give a folder (hf:FOLDER), or use a bundled: or photo: model"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting in many lines what is told in one."""
    logging = require("transformers.utils.logging", extra="zoo")
    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _kind(transformers: Any, config: Any, name: str) -> _Kind:
    """Return the task of a repository's architecture.

    Raises:
        InputError: it takes something else than images.

    """
    tables = require("transformers.models.auto.modeling_auto", extra="zoo")
    written = (getattr(config, "architectures", None) or [""])[0]
    for task, table, auto in _TABLES:
        known = getattr(tables, f"MODEL_FOR_{table}_MAPPING_NAMES")
        if hasattr(transformers, auto) and written in _flat(known.values()):
            return _Kind(task, auto)
    if config.model_type == "vit_mae":
        # ViTMAEModel masks and shuffles patches, at random; the same weights make a plain ViT.
        return _Kind("features", "ViTModel", ("no patch is masked, which MAE does in training",))
    base = transformers.AutoModel._model_mapping.get(type(config), None)
    if base is None:
        raise InputError(f"hf:{name} is of type {config.model_type}, which has no AutoModel")
    base = base[0] if isinstance(base, tuple) else base
    if base.main_input_name != "pixel_values" and not _is_dual(base):
        raise InputError(f"hf:{name} takes {base.main_input_name}, not images; give a vision model")
    if written in ("", base.__name__):
        return _Kind("features", "AutoModel")
    return _Kind("features", "AutoModel", (f"of {written} the backbone alone is used",))


def _flat(names: Iterable[Any]) -> set[str]:
    return {n for entry in names for n in (entry if isinstance(entry, tuple) else (entry,))}


def _is_dual(model: type) -> bool:
    """Return whether a class embeds images and texts in one space."""
    return hasattr(model, "get_image_features") and hasattr(model, "get_text_features")


def _network(
    transformers: Any, config: Any, kind: _Kind, name: str
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the model with every weight from the repository, and what had to be left out."""
    auto = getattr(transformers, kind.auto)
    options = {
        "config": config,
        "trust_remote_code": False,
        "use_safetensors": True,
        "output_loading_info": True,
    }
    if kind.auto == "ViTModel":
        options["config"] = transformers.ViTConfig.from_dict(config.to_dict())
        options["add_pooling_layer"] = False
    network, info = _from_hub(name, auto.from_pretrained, **options)
    missing, assumed = sorted(info["missing_keys"]), ()
    if missing and kind.task == "features" and all("pooler" in key for key in missing):
        # Trained for something else: the pooler would be made of random numbers.
        options["add_pooling_layer"] = False
        network, info = _from_hub(name, auto.from_pretrained, **options)
        missing, assumed = sorted(info["missing_keys"]), ("it was saved without a pooler",)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(
            f"hf:{name} lacks weights of {type(network).__name__}: {', '.join(missing[:3])}{more}; "
            "they would be random numbers"
        )
    if not _is_dual(type(network)):
        _check_inputs(network, name)
    return network.eval(), assumed


def _check_inputs(network: nn.Module, name: str) -> None:
    """Refuse a model that needs more than images."""
    first, *others = inspect.signature(network.forward).parameters.values()
    needed = [p.name for p in others if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed += [p.name for p in others if p.name == "task_inputs"]  # OneFormer's, checked later on
    if first.name != "pixel_values" or needed:
        asked = ", ".join([first.name] * (first.name != "pixel_values") + needed)
        raise InputError(f"hf:{name} takes {asked} beside images; Regard gives it images alone")


def _preprocessing(
    transformers: Any, config: Any, name: str
) -> tuple[Preprocessing, bool, tuple[str, ...]]:
    """Return how images are prepared, whether blue comes first, and what was assumed."""
    if config.model_type == "timm_wrapper":
        data = require("timm.data", extra="zoo")
        resolved = data.resolve_data_config(pretrained_cfg=config.pretrained_cfg)
        preprocessing, assumed = timm_preprocessing(resolved)
        return preprocessing, False, assumed
    side = _side(config)
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError):
        said = (
            f"{name} has no image processor that can be loaded: pictures are cropped to "
            f"{side[0]}×{side[1]} pixels and normalised as for ImageNet"
        )
        return Preprocessing(side, IMAGENET_MEAN, IMAGENET_STD), False, (said,)
    return preprocessing_of(processor, side)


def _side(config: Any) -> tuple[int, int]:
    """Return the size in a configuration, (height, width)."""
    size = getattr(config, "image_size", None)
    if size is None:
        size = getattr(getattr(config, "vision_config", None), "image_size", None) or 224
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    return height, width


def _labels(config: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class names, and what had to be assumed about them."""
    names = tuple(str(config.id2label[index]) for index in sorted(config.id2label))
    if all(label == f"LABEL_{index}" for index, label in enumerate(names)):
        numbers = tuple(str(index) for index in range(len(names)))
        return numbers, ("config.json does not name the classes; they are numbered",)
    return names, ()
