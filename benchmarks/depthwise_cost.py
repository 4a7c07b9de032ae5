"""What `regard.train.depthwise` gains: a training step in bfloat16 with it, over one without.

Networks with depthwise convolutions on a CPU, at batch 8: a U-Net and a one-stage detector on
EfficientNet-Lite0, and classifiers of timm. Forward and backward of a step, interleaved: in
float32, in bfloat16 as autocast has it, and in bfloat16 with the slow gradients in float32. Beside
the times stands how far the gradient of all weights is from that in float32, with and without.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from interleaved import interleaved, ratio
from regard.core.packages import require
from regard.models import NetworkSpec, build
from regard.train.depthwise import QuickDepthwise
from result import record

BATCH, CLASSES = 8, 10
LITE = "efficientnet_lite0"
TIMM = ("mobilenetv3_small_100", "efficientnet_b0", "convnext_atto")

Step = Callable[[], Tensor]


def segmenter() -> tuple[nn.Module, Step]:
    """Return a U-Net and its loss on a batch."""
    spec = NetworkSpec("unet", CLASSES, None, {"encoder": LITE, "width": 20, "widest": 80})
    network = channels_last(build(spec, seed=0, task="segment"))
    images, truth = random_images(240, 320), torch.randint(CLASSES, (BATCH, 240, 320))
    return network, lambda: F.cross_entropy(network(images).float(), truth)


def detector() -> tuple[nn.Module, Step]:
    """Return a one-stage detector and its loss on a batch."""
    spec = NetworkSpec("yolo", CLASSES, None, {"backbone": LITE})
    network = channels_last(build(spec, seed=0, task="detect"))
    boxes = torch.tensor([[20.0 * i, 20.0 * i, 20.0 * i + 60, 20.0 * i + 70] for i in range(10)])
    truth = [{"boxes": boxes, "labels": torch.arange(10)} for _ in range(BATCH)]
    images = random_images(288, 384)
    return network, lambda: sum(network.losses(images, truth).values(), torch.zeros(()))  # pyright: ignore


def classifier(name: str) -> tuple[nn.Module, Step]:
    """Return one of timm's networks and its loss on a batch."""
    torch.manual_seed(0)
    network = channels_last(
        require("timm", extra="zoo").create_model(name, num_classes=CLASSES, drop_rate=0.0)
    )
    images, truth = random_images(160, 160), torch.arange(BATCH)
    return network, lambda: F.cross_entropy(network(images).float(), truth)


def random_images(height: int, width: int) -> Tensor:
    """Return a batch of noise."""
    images = torch.rand(BATCH, 3, height, width, generator=torch.Generator().manual_seed(0))
    return images.contiguous(memory_format=torch.channels_last)


def channels_last(network: nn.Module) -> nn.Module:
    """Return a network as the training loop lays it out."""
    return network.to(memory_format=torch.channels_last).train()  # pyright: ignore


def measured(network: nn.Module, loss: Step, rounds: int) -> dict[str, object]:
    """Return the ratios of the times, and the errors of the gradients."""

    def step(*, bf16: bool, quick: bool) -> Tensor:
        network.zero_grad()
        torch.manual_seed(0)
        how = QuickDepthwise() if quick else nullcontext()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16), how:
            value = loss()
        value.backward()
        grads = [each.grad.flatten() for each in network.parameters() if each.grad is not None]
        return torch.cat(grads)

    ways = {
        "float32": lambda: step(bf16=False, quick=False),
        "bfloat16": lambda: step(bf16=True, quick=False),
        "quick": lambda: step(bf16=True, quick=True),
    }
    seconds, gradients = interleaved(ways, rounds)
    exact = gradients["float32"].double()
    return {
        "bfloat16_over_quick": ratio(seconds["bfloat16"], seconds["quick"]),
        "float32_over_quick": ratio(seconds["float32"], seconds["quick"]),
        "gradient_error": {
            name: float(f"{((gradients[name] - exact).norm() / exact.norm()).item():.2g}")
            for name in ("bfloat16", "quick")
        },
    }


def main() -> None:
    """Measure, and write `results/depthwise_cost.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    made: dict[str, Callable[[], tuple[nn.Module, Step]]] = {
        "unet": segmenter,
        "yolo": detector,
        **{f"timm:{name}": lambda name=name: classifier(name) for name in TIMM},
    }
    figures = {name: measured(*make(), options.rounds) for name, make in made.items()}
    record("depthwise_cost", figures, n=options.rounds)


if __name__ == "__main__":
    main()
