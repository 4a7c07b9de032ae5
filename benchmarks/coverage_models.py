"""The models that `coverage.py` looks at: of timm, torchvision and transformers, and by hand."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import flex_attention

from coverage_configs import ARCHITECTURES, image
from regard.core.packages import require

# The first of these that a network of timm accepts is what it is run on.
SIZES = (96, 128, 160, 192, 224, 256, 288, 384)
# Smaller images would be resized inside of these, or leave maps that a kernel covers whole.
OWN_SIZE = ("efficientvit_m0", "lambda_resnet26t", "mobilevit_xxs", "nextvit_small")


@dataclass
class Subject:
    """A model to capture.

    Attributes:
        model: in eval mode.
        inputs: by the names of its arguments; a tensor alone is the first.
        variant: which model of its module it is.
        own_weights: what gives the weights as the model itself tells them, if it can.

    """

    model: nn.Module
    inputs: dict[str, Any] | Tensor
    variant: str = ""
    own_weights: Callable[["Subject"], list[Tensor]] | None = None

    def run(self) -> Any:
        """Run the model."""
        torch.manual_seed(0)  # some draw what they mask
        if isinstance(self.inputs, Tensor):
            return self.model(self.inputs)
        return self.model(**self.inputs)

    def to_double(self) -> None:
        """Compute in float64 from now on."""
        self.model.double()
        if isinstance(self.inputs, Tensor):
            self.inputs = self.inputs.double()
        else:
            self.inputs = {name: _double(value) for name, value in self.inputs.items()}


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def smallest(module: str) -> str:
    """Return the model of a module of timm that has the fewest parameters."""
    timm = require("timm", extra="zoo")
    names = [n for n in timm.list_models(module=module) if not n.startswith("test_")]
    with torch.device("meta"):
        counts = {n: sum(p.numel() for p in timm.create_model(n).parameters()) for n in names}
    return min(counts, key=lambda name: (counts[name], name))


def of_timm(module: str, variant: str = "") -> Subject:
    """Build the smallest model of a module, for the smallest image that it takes."""
    timm = require("timm", extra="zoo")
    variant = variant or smallest(module)
    whole = timm.create_model(variant).pretrained_cfg["input_size"][-1]
    sides = {*SIZES, whole} if variant not in OWN_SIZE else {whole}
    for side in sorted(sides):
        for options in ({}, {"img_size": side}):
            try:
                torch.manual_seed(0)
                model = timm.create_model(variant, **options).eval()
                x = image(side)
                with torch.no_grad():
                    model(x)
                _measure_statistics(model, x)
            except (RuntimeError, AssertionError, ValueError, TypeError, IndexError):
                continue
            return Subject(model, x, variant, _dropped_out_weights)
    raise ValueError(f"{variant} takes no image of up to {SIZES[-1]} pixels")


@torch.no_grad()
def _measure_statistics(model: nn.Module, *args: Any, **inputs: Any) -> None:
    """Let batch norms take their statistics from the input and its mirror image.

    Without any, a signal fades from layer to layer of an untrained network, until it is lost in
    rounding.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
    if not norms:
        return
    for norm in norms:
        norm.train().momentum = None
    model(*map(_with_mirror_image, args), **{k: _with_mirror_image(v) for k, v in inputs.items()})
    model.eval()


def _with_mirror_image(value: Any) -> Any:
    return torch.cat([value, value.flip(-1)]) if isinstance(value, Tensor) else value


def _dropped_out_weights(subject: Subject) -> list[Tensor]:
    """Return what goes into every `attn_drop` when timm's fused kernels are off."""
    seen: list[Tensor] = []
    fused = [m for m in subject.model.modules() if getattr(m, "fused_attn", False) is True]
    hooks = [
        m.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
        for name, m in subject.model.named_modules()
        if name.endswith("attn_drop")
    ]
    try:
        for module in fused:
            module.fused_attn = False
        with torch.no_grad():
            subject.run()
    finally:
        for module in fused:
            module.fused_attn = True
        for hook in hooks:
            hook.remove()
    return [weights for weights in seen if _are_weights(weights)]


def _are_weights(tensor: Tensor) -> bool:
    """Return True if rows sum to 1: what some models call their attentions is something else."""
    sums = tensor.sum(-1)
    return tensor.dim() >= 3 and bool((tensor >= 0).all() and (sums - 1).abs().max() < 1e-4)


def of_transformers(name: str) -> Subject:
    """Build an architecture of transformers from a small configuration."""
    transformers = require("transformers", extra="zoo")
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    model, inputs = ARCHITECTURES[name](transformers)
    _measure_statistics(model.eval(), **inputs)
    return Subject(model, inputs, type(model).__name__, _eager_weights)


def _eager_weights(subject: Subject) -> list[Tensor]:
    """Return the attentions that the model tells when it runs eagerly."""
    model: Any = subject.model
    before = model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        torch.manual_seed(0)
        with torch.no_grad():
            output = model(**subject.inputs, output_attentions=True)
    finally:
        model.set_attn_implementation(before or "sdpa")
    return [weights for weights in _attentions(output) if _are_weights(weights)]


def _attentions(output: Any, name: str = "") -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        if "attentions" in name:
            yield output
    elif hasattr(output, "items"):
        for key, value in output.items():
            yield from _attentions(value, key)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _attentions(value, name)


def of_torchvision(name: str) -> Subject:
    """Build a model of torchvision."""
    models = require("torchvision.models", extra="zoo")
    options = {"image_size": 96} if name == "vit_b_16" else {}
    torch.manual_seed(0)
    side = 224 if name == "maxvit_t" else 96
    return Subject(getattr(models, name)(**options).eval(), image(side), name)


class ByHand(nn.Module):
    """Patches, one attention as somebody wrote it, and a classifier."""

    heads, width = 4, 32

    def __init__(self, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, self.width, 16, 16)
        self.qkv = nn.Linear(self.width, 3 * self.width)
        self.head = nn.Linear(self.width, 10)
        self.attend = attend

    def forward(self, x: Tensor) -> Tensor:
        """Classify (batch, 3, height, width)."""
        tokens = self.patches(x).flatten(2).mT
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = self.attend(q, k, v).transpose(1, 2).flatten(2)
        return self.head((tokens + mixed).mean(1)).softmax(-1)


def memory_efficient(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend as xformers' `memory_efficient_attention` does: tokens before heads."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    q = (q * q.shape[-1] ** -0.5).transpose(1, 2)
    scores = q @ k.permute(0, 2, 3, 1)
    return (F.dropout(scores.softmax(-1), 0.0) @ v.transpose(1, 2)).contiguous()


def folded_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend with the heads in the batch, by baddbmm, as diffusers once did."""
    batch, heads = q.shape[:2]
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    empty = torch.empty(q.shape[0], q.shape[1], k.shape[1])
    scores = torch.baddbmm(empty, q, k.mT, beta=0, alpha=q.shape[-1] ** -0.5)
    return torch.bmm(scores.softmax(-1), v).unflatten(0, (batch, heads))


def by_flex(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend by `flex_attention` with a penalty on distance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = flex_attention(q, k, v, lambda score, b, h, i, j: score - 0.1 * (i - j).abs())
    assert isinstance(output, Tensor)
    return output


def by_einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend by einsum, with the largest score taken off before the exponential."""
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5
    scores = scores - scores.amax(-1, keepdim=True).detach()
    return torch.einsum("bhij,bhjd->bhid", scores.softmax(-1), v)


def exponential(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend by a softmax that is written out."""
    weights = (q @ k.mT / q.shape[-1] ** 0.5).exp()
    return weights / weights.sum(-1, keepdim=True) @ v


def linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend as in "Transformers are RNNs" (Katharopoulos et al. 2020, arXiv 2006.16236)."""
    q, k = F.elu(q) + 1, F.elu(k) + 1
    return q @ (k.mT @ v) / (q @ k.sum(-2, keepdim=True).mT)


def _encoder(fast: bool) -> Subject:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=fast)
    patches = nn.Sequential(nn.Conv2d(3, 32, 16, 16), nn.Flatten(2), _Turned(), encoder)
    return Subject(patches.eval(), image(), "TransformerEncoder")


class _Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mT


def _by_hand(attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[], Subject]:
    def build() -> Subject:
        torch.manual_seed(0)
        return Subject(ByHand(attend).eval(), image(), attend.__name__)

    return build


BY_HAND: dict[str, Callable[[], Subject]] = {
    "sdpa": _by_hand(F.scaled_dot_product_attention),
    "memory_efficient": _by_hand(memory_efficient),
    "folded_heads": _by_hand(folded_heads),
    "flex_attention": _by_hand(by_flex),
    "einsum": _by_hand(by_einsum),
    "exponential": _by_hand(exponential),
    "linear": _by_hand(linear),
    "transformer_encoder": lambda: _encoder(fast=True),
    "transformer_encoder_slow": lambda: _encoder(fast=False),
}

TORCHVISION = ("vit_b_16", "swin_t", "swin_v2_t", "maxvit_t", "mobilenet_v3_small", "resnet18")

# Why capture finds nothing, where it is more than convolutions and pooling.
WITHOUT_ATTENTION = {
    "timm/efficientnet": "the smallest is a MobileNetV2; those with squeeze-and-excitation have",
    "timm/focalnet": "focal modulation: features times contexts, without a σ",
    "timm/mambaout": "gated convolutions: one half of a projection activates the other",
    "timm/metaformer": "the smallest is a PoolFormer, which mixes tokens by average pooling",
    "timm/mlp_mixer": "tokens are mixed by learned matrices, whatever the image",
    "timm/sequencer": "tokens are mixed by recurrent networks",
    "timm/starnet": "products of two projections, one of them rectified: an activation function",
    "transformers/focalnet": "focal modulation: features times contexts, without a σ",
    "transformers/poolformer": "tokens are mixed by average pooling",
}

# Attention of other kinds than the smallest model of the module has.
MORE_OF_TIMM = (
    "botnet26t_256",
    "lambda_resnet26t",
    "halonet26t",
    "gcresnet33ts",
    "eca_resnet33ts",
    "seresnet33ts",
    "ecaresnet26t",
    "seresnet50",
    "legacy_seresnet18",
    "resnest14d",
    "skresnet18",
    "coatnet_nano_rw_224",
    "maxvit_tiny_tf_224",
    "vit_base_patch16_rope_reg1_gap_256",
    "vit_relpos_small_patch16_224",
    "vit_small_patch16_36x1_224",
    "cs3se_edgenet_x",
    "mobilenetv4_hybrid_medium",
    "efficientformerv2_s0",
)


def catalogue(smallest: dict[str, str]) -> dict[str, Callable[[], Subject]]:
    """Return what builds each model, by `library/name`.

    Args:
        smallest: the smallest model of each module of timm, where that is known already.

    """
    timm = require("timm", extra="zoo")
    models: dict[str, Callable[[], Subject]] = {}
    for module in sorted(timm.models._registry._module_to_models):
        name = f"timm/{module}"
        models[name] = partial(of_timm, module, smallest.get(name, ""))
    for name in MORE_OF_TIMM:
        models[f"timm/{name}"] = partial(of_timm, "", name)
    for name in ARCHITECTURES:
        models[f"transformers/{name}"] = partial(of_transformers, name)
    for name in TORCHVISION:
        models[f"torchvision/{name}"] = partial(of_torchvision, name)
    return models | {f"by hand/{name}": build for name, build in BY_HAND.items()}
