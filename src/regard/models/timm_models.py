"""Models of timm, with timm's own weights or a file's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from torch import nn

from regard.core.errors import InputError, unknown_name
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.models.checkpoint import fill_from_file
from regard.models.preprocessing import Interpolation, Preprocessing
from regard.models.vision_model import VisionModel

# What the rest of the word decides, or what changes what goes in and comes out.
_REFUSED = (
    "pretrained",
    "checkpoint_path",
    "cache_dir",
    "features_only",
    "in_chans",
    "num_classes",
)


def load_timm(
    name: str, options: Mapping[str, Any] | None = None, weights: Path | None = None
) -> VisionModel:
    """Load a model of timm with the preprocessing and labels that timm gives it.

    Args:
        name: as in `timm.list_models`, with a tag or without.
        options: of the architecture, such as `img_size`.
        weights: a file; None for the pretrained ones, cached or fetched.

    Raises:
        InputError: no such model or option, its weights cannot be had (offline), or the file does
            not fit.

    """
    timm = require("timm", extra="zoo")
    options = dict(options or {})
    if not timm.is_model(name.split(".")[0]):
        raise unknown_name("timm model", name, timm.list_models())
    for option in options:
        if option.startswith(_REFUSED):
            raise InputError(f"timm:{name} takes no {option!r} here; leave it out")
    if weights is None:
        return _described(_pretrained(timm, name, options), f"timm:{name}", (), options=options)

    def make(classes: int) -> nn.Module:
        return _create(timm, name, options, num_classes=classes)

    usual = timm.get_pretrained_cfg(name).num_classes or 1000
    filled = fill_from_file(make, usual, weights, name=f"timm:{name}", headless=True)
    assumed = (*filled.assumed, "images are prepared as for the weights that timm has for it")
    named = filled.classes and filled.classes == usual
    if named:
        assumed += (
            f"the {usual} classes are taken to be those of the weights that timm has for it",
        )
    title = f"timm:{name}@{weights.name}"
    return _described(filled.network, title, assumed, options=options, named=bool(named))


def _create(timm: Any, name: str, options: dict[str, Any], **fixed: Any) -> nn.Module:
    try:
        return timm.create_model(name, **options, **fixed)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise InputError(f"timm:{name}: {error}") from error


def _pretrained(timm: Any, name: str, options: dict[str, Any]) -> nn.Module:
    try:
        with preserved_random_state():
            return _create(timm, name, options, pretrained=True).eval()
    except (OSError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the weights of timm:{name} are neither cached nor to be had ({reason}); connect "
            "once to fetch them, give a file (timm:NAME@FILE), or use a bundled: or photo: model"
        ) from error


def _described(
    network: nn.Module,
    name: str,
    assumed: tuple[str, ...],
    *,
    options: Mapping[str, Any],
    named: bool = True,
) -> VisionModel:
    """Put a network together with what timm knows of it."""
    data = require("timm.data", extra="zoo")
    config = dict(data.resolve_model_data_config(network))
    if "img_size" in options:  # timm's data configuration stays that of the weights
        side = options["img_size"]
        config["input_size"] = (3, *(side if isinstance(side, (tuple, list)) else (side, side)))
    preprocessing, prepared = timm_preprocessing(config)
    labels, labelled = _labels(data, network, named=named)
    return VisionModel(
        network,
        name=name,
        preprocessing=preprocessing,
        labels=labels,
        task="classify" if network.num_classes else "features",
        assumed=(*assumed, *prepared, *labelled),
    )


def timm_preprocessing(config: Mapping[str, Any]) -> tuple[Preprocessing, tuple[str, ...]]:
    """Return the preprocessing in one of timm's data configurations, and what was assumed."""
    channels, height, width = config["input_size"]
    if channels != 3:
        raise InputError(f"the model takes {channels} channels; Regard shows models of RGB images")
    assumed, fraction = [], config["crop_pct"]
    if fraction > 1:
        assumed.append("timm pads pictures with black for this model; here they are cropped")
    if config["crop_mode"] == "border":
        assumed.append("timm pads pictures to a square for this model; here they are cropped")
    interpolation = config["interpolation"]
    if interpolation not in get_args(Interpolation):
        assumed.append(f"timm scales pictures by {interpolation!r} for this model; here bicubic")
        interpolation = "bicubic"
    preprocessing = Preprocessing(
        size=(height, width),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        resize="squash" if config["crop_mode"] == "squash" else "crop",
        crop_fraction=min(fraction, 1.0),
        interpolation=interpolation,
    )
    return preprocessing, tuple(assumed)


def _labels(data: Any, network: Any, *, named: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class names, and what had to be assumed about them."""
    if not network.num_classes:
        return (), ()
    subset = data.infer_imagenet_subset(network) if named else None
    if subset is None:
        numbers = tuple(str(index) for index in range(network.num_classes))
        whose = "timm does not name this model's" if named else "the weights file does not name its"
        return numbers, (f"{whose} classes; they are numbered",)
    info = data.ImageNetInfo(subset)
    return tuple(info.index_to_description(i) for i in range(network.num_classes)), ()
