"""Backbones of detectors: the maps of a classifier's stages, the finest first.

Ours (`resnet18`, …), `efficientnet_lite0`, `photo:efficientnet-lite0` (the same, with the
ImageNet weights of the `photo` extra as its first ones), and `timm:NAME`; each with options, as
in `efficientnet_lite0(stages=5, freeze=2)`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.errors import InputError, unknown_name
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.core.shapes import FeatureMap
from regard.models.efficientnet_lite import EfficientNetLite
from regard.models.network_word import parse_network
from regard.models.photo import LITE_MEAN, LITE_STD, lite0_tensors
from regard.models.registry import Places
from regard.models.resnet import ResNet, resnet8, resnet18, resnet20, resnet56

_RESNETS = {"resnet8": resnet8, "resnet18": resnet18, "resnet20": resnet20, "resnet56": resnet56}
_LITE = "efficientnet_lite0"
_PHOTO = "photo:efficientnet-lite0"
_OURS = (*_RESNETS, _LITE, _PHOTO)

_LITE_STAGES = 6
"""By default: the seventh only widens the map of stride 32, with a fifth of the parameters."""

_SIZED = {"dynamic_img_size": True, "strict_img_size": False, "img_size": None}
"""timm's options of transformers that say whether images may have any size: ViT's, Swin's, and the
size itself."""

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]


class Backbone(nn.Module):
    """A network without its head, whose maps are given out from one stride on.

    Args:
        body: the network; its forward returns a list of maps, the finest first.
        channels, strides: of those maps.
        finest: the smallest stride that is given out.
        places: where attention goes in `body`.
        frozen: modules of `body` that are not trained: their weights and statistics stay.
        norms: whether batch norms learn their statistics; else they keep the pretrained ones,
            which is quicker, and better than those of few images.
        channels_last: whether `body` gives maps (batch, height, width, channel), as timm's Swin.

    Attributes:
        channels, strides: of the maps that are given out.

    Raises:
        InputError: there is no map of such a stride.

    """

    def __init__(
        self,
        body: nn.Module,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        finest: int,
        places: Places,
        frozen: Sequence[str] = (),
        norms: bool = True,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.body = body
        self.frozen, self.norms, self.channels_last = tuple(frozen), norms, channels_last
        for name in self.frozen:
            body.get_submodule(name).requires_grad_(False)
        last = {stride: index for index, stride in enumerate(strides) if stride >= finest}
        if not last:
            raise InputError(
                f"finest={finest}, but this backbone's strides are {tuple(strides)}; "
                f"give {max(strides)} or less"
            )
        self.kept = tuple(last.values())
        self.strides = tuple(last)
        self.channels = tuple(channels[index] for index in self.kept)
        self.places = places

    def train(self, mode: bool = True) -> "Backbone":
        """Set the mode, but leave what is frozen in eval mode."""
        super().train(mode)
        for name in self.frozen:
            self.body.get_submodule(name).eval()
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not self.norms:
                module.eval()
        return self

    def forward(self, images: FeatureMap) -> list[Tensor]:
        """Images (batch, 3, height, width) to maps (batch, channels[i], height, width)."""
        maps = self.body(images)
        chosen = [maps[index] for index in self.kept]
        return [each.permute(0, 3, 1, 2) for each in chosen] if self.channels_last else chosen


class ResNetStages(nn.Module):
    """The maps of each stage of one of our ResNets."""

    def __init__(self, network: ResNet) -> None:
        super().__init__()
        self.conv1, self.bn1, self.pool = network.conv1, network.bn1, network.pool
        self.stages = network.stages
        for name in self.stages:
            self.add_module(name, network.get_submodule(name))
        first = 1 if isinstance(network.pool, nn.Identity) else 4
        self.strides = tuple(first * 2**index for index in range(len(self.stages)))
        lasts = [network.get_submodule(name)[-1] for name in self.stages]  # pyright: ignore
        self.channels = tuple(int(block.bn2.num_features) for block in lasts)

    def forward(self, images: FeatureMap) -> list[Tensor]:
        """Images to the maps of every stage."""
        x = self.pool(F.relu(self.bn1(self.conv1(images)), inplace=True))
        maps = []
        for name in self.stages:
            x = self.get_submodule(name)(x)
            maps.append(x)
        return maps


def read_backbone(word: str, *, finest: int) -> Backbone:
    """Build a backbone from a word: `NAME` or `NAME(option=value)`, as `make_backbone` does.

    Raises:
        InputError: the word cannot be read, or as `make_backbone`.

    """
    name, options = parse_network(word)
    if "finest" in options:
        raise InputError(f"backbone {word!r}: finest is an option of the detector, not of this")
    return make_backbone(name, finest=finest, **options)


def make_backbone(
    name: str, *, finest: int = 8, freeze: int = 0, norms: bool = True, **options: Any
) -> Backbone:
    """Build a backbone by name, with random weights.

    Args:
        name: `resnet18`, …, `efficientnet_lite0`, `photo:efficientnet-lite0` or `timm:NAME`.
        finest: the smallest stride that is given out.
        freeze: how many of the first stages, after the stem, are not trained; 0 trains all.
        norms: whether batch norms learn their statistics.
        **options: the network's own, such as `width`, `stem`, or `stages` of EfficientNet-Lite0
            (6 unless given).

    Raises:
        InputError: no such backbone or option, or no map of such a stride.

    """
    try:
        if name.startswith("timm:"):
            if freeze:
                raise InputError(f"{name}: freeze={freeze} is for our own backbones; leave it out")
            return _timm(name, finest, norms, options)
        if name in (_LITE, _PHOTO):
            body: Any = EfficientNetLite(**{"stages": _LITE_STAGES, **options})
            places = Places(gate="body.blocks.*.*", mixing=f"body.blocks.{body.ends[-1]}")
            stages = [f"blocks.{index}" for index in range(len(body.blocks))]
        elif name in _RESNETS:
            # The CIFAR networks have no other stem.
            stem = {"stem": "imagenet"} if name == "resnet18" else {}
            body = ResNetStages(_RESNETS[name](1, **{**stem, **options}))
            places = Places(gate="body.layer*.*.bn2", mixing=f"body.{body.stages[-1]}")
            stages = body.stages
        else:
            raise unknown_name("backbone", name, (*_OURS, "timm:NAME"))
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise InputError(f"backbone {name!r}: {error}") from error
    if not 0 <= freeze <= len(stages):
        raise InputError(f"freeze={freeze}; {name} has {len(stages)} stages")
    stem = [name for name in ("conv_stem", "conv1", "bn1") if hasattr(body, name)]
    return Backbone(
        body,
        body.channels,
        body.strides,
        finest=finest,
        places=places,
        frozen=[*stem, *stages[:freeze]] if freeze else (),
        norms=norms,
    )


def _timm(name: str, finest: int, norms: bool, options: dict[str, Any]) -> Backbone:
    timm = require("timm", extra="zoo")
    architecture = name.removeprefix("timm:")
    if not timm.is_model(architecture.split(".")[0]):
        raise unknown_name("timm model", architecture, timm.list_models())
    try:
        body = _of_any_size(timm, architecture, options)
    except (RuntimeError, AttributeError) as error:
        raise InputError(f"{name} gives out no maps of its stages; choose another") from error
    info = body.feature_info
    # timm's names of the modules, as the wrapper around the network has them.
    last = info.module_name()[-1]
    known = dict(body.named_modules())
    last = next((known_as for known_as in (last, last.replace(".", "_")) if known_as in known), "")
    places = Places(gate=f"body.{last}", mixing=f"body.{last}")
    return Backbone(
        body,
        info.channels(),
        info.reduction(),
        finest=finest,
        places=places,
        norms=norms,
        channels_last=getattr(body, "output_fmt", "NCHW") == "NHWC",
    )


def _of_any_size(timm: Any, architecture: str, options: dict[str, Any]) -> Any:
    """Build timm's network so that it takes images of any size, where it can be told to."""
    config = timm.get_pretrained_cfg(architecture)
    if config is not None and config.fixed_input_size and not {*_SIZED} & {*options}:
        for option, value in _SIZED.items():
            try:
                return timm.create_model(
                    architecture, features_only=True, **{**options, option: value}
                )
            except TypeError:
                continue  # another family's option
    return timm.create_model(architecture, features_only=True, **options)


def load_pretrained(backbone: Backbone, name: str) -> Statistics | None:
    """Give a backbone its pretrained weights, if its name promises any.

    Attention that was put in is left as it is.

    Returns:
        Mean and standard deviation of the images that the weights were trained on; None where
        the name promises no weights.

    Raises:
        MissingPackage: the package that carries them is not installed.
        InputError: they cannot be had.

    """
    if name == _PHOTO:
        body = backbone.body
        with preserved_random_state(), torch.no_grad():
            plain = EfficientNetLite().state_dict()
        found = dict(zip(plain, lite0_tensors(), strict=False))
        own = {key: found[key] for key in body.state_dict() if key in found}
        body.load_state_dict(own, strict=False)
        return LITE_MEAN, LITE_STD
    return None
