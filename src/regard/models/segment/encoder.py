"""The encoder of a segmentation network by a word, and its pretrained weights.

An encoder turns images (batch, 3, height, width) into a list of maps, the finest first, and says
their `channels` and `strides` (pixels a cell). It is U-Net's own, or a backbone as detectors have
it (see `regard.models.detect.backbone`).
"""

from typing import Any

from torch import nn

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.models.build import parse_network
from regard.models.detect.backbone import Backbone, Statistics, load_pretrained, make_backbone
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from regard.models.segment.plain_encoder import PlainEncoder

LITE0 = "photo:efficientnet-lite0"
"""The encoder whose ImageNet weights come with the `photo` extra."""

_LITE_STAGES = 6
"""The seventh stage of EfficientNet-Lite0 only widens the map of stride 32, from 192 channels to
320, with a fifth of the backbone's parameters."""


def make_encoder(word: str, *, levels: int = 5) -> nn.Module:
    """Build an encoder with random weights.

    Args:
        word: `plain`, `plain(width=64)`, one of our ResNets, `efficientnet_lite0`, `timm:NAME`, or
            `photo:efficientnet-lite0`, which can be filled with pretrained weights; each with
            options.
        levels: how many strides a plain encoder has, unless its options say.

    Raises:
        InputError: no such encoder or option.
        MissingPackage: timm is needed and not installed.

    """
    name, options = parse_network(word)
    if name != "plain":
        if "lite0" in name and not name.startswith("timm:"):
            options = {"stages": _LITE_STAGES, **options}
        return make_backbone(name, finest=1, **options)
    try:
        return PlainEncoder(**{"levels": levels, **options})
    except TypeError as error:
        raise InputError(f"encoder {word!r}: {error}") from error


def fill_pretrained(encoder: nn.Module, word: str) -> Statistics:
    """Load the ImageNet weights of an encoder that `make_encoder` made, in place.

    Attention that was put in is left as it is.

    Returns:
        Mean and standard deviation of the images that the weights expect.

    Raises:
        InputError: there are none, or they cannot be had (offline).
        MissingPackage: the packages of the `photo` extra are not installed.

    """
    name, options = parse_network(word)
    if isinstance(encoder, Backbone):
        found = load_pretrained(encoder, name)
        if found is not None:
            return found
        if name.startswith("timm:"):
            return _fill_from_timm(encoder, name, options)
    raise InputError(
        f"encoder {word} has no pretrained weights; choose {LITE0}, which is offline, or timm:NAME"
    )


def _fill_from_timm(encoder: Backbone, name: str, options: dict[str, Any]) -> Statistics:
    timm = require("timm", extra="zoo")
    architecture = name.removeprefix("timm:")
    try:
        with preserved_random_state():
            filled = timm.create_model(architecture, features_only=True, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the weights of {name} are neither cached nor to be had ({reason}); connect once to "
            f"fetch them, or choose {LITE0}, which is offline"
        ) from error
    encoder.body.load_state_dict(filled.state_dict(), strict=False)
    config = timm.get_pretrained_cfg(architecture)
    mean, std = config.mean or IMAGENET_MEAN, config.std or IMAGENET_STD
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
