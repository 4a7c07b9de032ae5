"""What each method costs, in units of one forward pass, beside pytorch-grad-cam and Captum.

timm's ResNet-18 and ViT-S/16 with random weights, one image of 224 pixels, a fixed class. A
method's time is that of the whole call once its layer is known (it is found once for each model and
size of input); the unit is the plain forward pass of the same round. The peers are given the same
layer: `layer4` of ResNet-18, and the input of the last attention of ViT-S with the usual
`reshape_transform`. Memory is the peak of a process of its own, less the peak of one that only
runs the plain forward pass.

Needs the extra `bench`.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from interleaved import interleaved, ratio
from peak_memory import peak_bytes
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.explain import Class, methods
from result import record

CLASS = 281
OCCLUSION = {"window": 32, "stride": 16}
"""13 × 13 windows at 224 pixels."""

OURS: dict[str, dict[str, Any]] = {
    "grad_cam": {},
    "hires_cam": {},
    "eigen_cam": {},
    "ablation_cam": {},
    "score_cam": {},
    "saliency": {},
    "integrated_gradients": {},
    "occlusion": OCCLUSION,
    "rollout": {},
    "gradient_rollout": {},
}
ATTENTION = ("rollout", "gradient_rollout")


def main() -> None:
    """Measure, and write `results/methods_cost.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=["resnet18", "vit_small_patch16_224"])
    parser.add_argument("--no-memory", action="store_true", help="measure times only")
    parser.add_argument("--shared", action="store_true", help="other jobs ran on the machine")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine_was_shared": options.shared}
    for name in options.models:
        figures[name] = times(name, options.rounds)
        record("methods_cost", figures, n=options.rounds)
        if not options.no_memory:
            figures[name] |= memory(name)
            record("methods_cost", figures, n=options.rounds)


def times(name: str, rounds: int) -> dict[str, Any]:
    """Return how many forward passes each way takes."""
    names = ["forward", *ways(name)]
    seconds: dict[str, list[float]] = {}
    # The dear ones apart, so that a round of the cheap ones is short.
    for group in (cheap(names), [n for n in names if n not in cheap(names)] + ["forward"]):
        taken, _ = interleaved({n: way(name, n) for n in group}, rounds)
        seconds |= {
            n: [t / f for t, f in zip(taken[n], taken["forward"], strict=True)] for n in group
        }
        seconds[f"forward of {group[0]}"] = taken["forward"]
    ones = [1.0] * rounds
    figures: dict[str, Any] = {
        "forward_seconds": round(statistics.median(seconds["forward of forward"]), 4)
    }
    return figures | {f"{n}_forwards": ratio(seconds[n], ones) for n in names[1:]}


def memory(name: str) -> dict[str, Any]:
    """Return what each way takes at its peak, over a forward pass."""
    names = ["forward", *ways(name)]
    peaks = {n: peak_bytes(once, name, n) for n in names}
    return {
        f"{n}_extra_megabytes": round((peaks[n] - peaks["forward"]) / 1e6, 1) for n in names[1:]
    }


def cheap(names: list[str]) -> list[str]:
    """Return those that take a few forward passes."""
    dear = ("ablation_cam", "score_cam", "integrated_gradients", "occlusion")
    return [n for n in names if not n.endswith(dear)]


def ways(name: str) -> list[str]:
    """Return the names of ours and of the peers' for a model."""
    ours = [n for n in OURS if name.startswith("vit") or n not in ATTENTION]
    return [*ours, *(f"peer_{n}" for n in PEERS)]


def way(name: str, which: str) -> Callable[[], Any]:
    """Prepare one way to explain a model."""
    model, image = prepared(name)
    if which == "forward":
        return lambda: forward(model, image)
    if which.startswith("peer_"):
        return PEERS[which.removeprefix("peer_")](model, image)
    with torch.no_grad():
        score = Class(CLASS).score(model(image), ())
    explain = methods[which]
    return lambda: explain(model, image, score, **OURS[which])


def prepared(name: str) -> tuple[nn.Module, Tensor]:
    """Return a model with random weights, and one image of noise."""
    timm = require("timm", extra="zoo")
    with seeded(0):
        return timm.create_model(name).eval(), torch.randn(1, 3, 224, 224)


def forward(model: nn.Module, image: Tensor) -> None:
    """Run the plain forward pass."""
    with torch.no_grad():
        model(image)


def cam_of_peer(method: str) -> Callable[[nn.Module, Tensor], Callable[[], Any]]:
    """Prepare a method of pytorch-grad-cam."""

    def prepare(model: nn.Module, image: Tensor) -> Callable[[], Any]:
        require("torchvision", extra="zoo")
        peer = require("pytorch_grad_cam", extra="bench")
        targets = require("pytorch_grad_cam.utils.model_targets", extra="bench")
        layers: Any = model
        options: dict[str, Any] = {"target_layers": [getattr(layers, "layer4", None)]}
        if not hasattr(model, "layer4"):
            options = {
                "target_layers": [layers.blocks[-1].norm1],
                "reshape_transform": lambda t: t[:, 1:].unflatten(1, (14, 14)).movedim(-1, 1),
            }
        if method == "AblationCAM" and not hasattr(model, "layer4"):
            layer = require("pytorch_grad_cam.ablation_layer", extra="bench")
            options["ablation_layer"] = layer.AblationLayerVit()
        cam = getattr(peer, method)(model, **options)
        chosen = [targets.ClassifierOutputTarget(CLASS)]
        return lambda: cam(image, chosen)

    return prepare


def integrated_gradients_of_peer(model: nn.Module, image: Tensor) -> Callable[[], Any]:
    """Prepare Captum's integrated gradients, with its 50 steps."""
    peer = require("captum.attr", extra="bench").IntegratedGradients(model)
    return lambda: peer.attribute(image, target=CLASS, internal_batch_size=10)


def occlusion_of_peer(model: nn.Module, image: Tensor) -> Callable[[], Any]:
    """Prepare Captum's occlusion, with the same 13 × 13 windows."""
    peer = require("captum.attr", extra="bench").Occlusion(model)
    window, stride = OCCLUSION["window"], OCCLUSION["stride"]
    shapes = {"sliding_window_shapes": (3, window, window), "strides": (3, stride, stride)}
    return lambda: peer.attribute(image, target=CLASS, **shapes)


PEERS: dict[str, Callable[[nn.Module, Tensor], Callable[[], Any]]] = {
    "grad_cam": cam_of_peer("GradCAM"),
    "ablation_cam": cam_of_peer("AblationCAM"),
    "score_cam": cam_of_peer("ScoreCAM"),
    "integrated_gradients": integrated_gradients_of_peer,
    "occlusion": occlusion_of_peer,
}


def once(name: str, which: str) -> None:
    """Do it one way once, in a new process."""
    way(name, which)()


if __name__ == "__main__":
    main()
