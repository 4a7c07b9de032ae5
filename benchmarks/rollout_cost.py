"""Class-token rollout of ViT-S (12 layers, 6 heads, patch 16, random weights) at growing sizes.

- plain: the forward pass, with timm's fused attention;
- ours: the forward pass under `regard.capture` and `regard.explain.rollout`, from q and k;
- explicit: as vit-explain and its descendants do it: fused attention off, every layer's weights
  stored by a hook, and the product of all layers' matrices.

Times are ratios to the plain forward pass of the same round, with the forward pass included in
both. Memory is the peak of a process of its own, less the peak of one that only runs the forward
pass. The results of both ways are compared.
"""

import argparse
import statistics
from typing import Any

import torch
from torch import Tensor, nn

from interleaved import interleaved, ratio
from peak_memory import available_bytes, peak_bytes
from regard.capture import capture
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.explain.rollout import rollout
from result import record

PIXELS = (224, 448, 896, 1344)
LAYERS, HEADS, PATCH = 12, 6, 16


def main() -> None:
    """Measure, and write `results/rollout_cost.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rounds-largest", type=int, default=1, help="of the largest size")
    parser.add_argument("--pixels", type=int, nargs="+", default=PIXELS)
    parser.add_argument("--shared", action="store_true", help="other jobs ran on the machine")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine_was_shared": options.shared}
    for pixels in options.pixels:
        rounds = options.rounds_largest if pixels == PIXELS[-1] else options.rounds
        figures[f"{pixels}_px"] = measured(pixels, rounds)
        record("rollout_cost", figures, n=options.rounds)


def measured(pixels: int, rounds: int) -> dict[str, Any]:
    """Return the figures of one size."""
    tokens = (pixels // PATCH) ** 2 + 1
    stored = LAYERS * HEADS * tokens**2 * 4
    fits = stored * 1.3 < available_bytes()  # beside the matrices, their product and the model
    ways = {"plain": plain, "ours": ours} | ({"explicit": explicit} if fits else {})
    model, images = vit(pixels)
    with torch.no_grad():
        seconds, told = interleaved(
            {name: lambda way=way: way(model, images) for name, way in ways.items()}, rounds
        )
    peaks = {name: peak_bytes(from_scratch, name, pixels) for name in ways}
    extra = {name: peaks[name] - peaks["plain"] for name in ways if name != "plain"}
    figures: dict[str, Any] = {
        "tokens": tokens,
        "rounds": rounds,
        "plain_seconds": round(statistics.median(seconds["plain"]), 3),
        "ours_over_plain": ratio(seconds["ours"], seconds["plain"]),
        "ours_extra_megabytes": round(extra["ours"] / 1e6, 1),
    }
    if not fits:
        return figures | {
            "explicit": f"not run: its matrices alone need {stored / 1e9:.1f} GB",
        }
    difference = (told["ours"] - told["explicit"]).abs()
    return figures | {
        "explicit_over_plain": ratio(seconds["explicit"], seconds["plain"]),
        "explicit_extra_megabytes": round(extra["explicit"] / 1e6, 1),
        "explicit_over_ours_extra_memory": round(extra["explicit"] / extra["ours"], 1),
        "explicit_over_ours_time": ratio(seconds["explicit"], seconds["ours"]),
        "largest_difference": float(difference.max()),
        "largest_relative_difference": float((difference / told["explicit"]).max()),
    }


def vit(pixels: int) -> tuple[nn.Module, Tensor]:
    """Return the network and one image of noise."""
    with seeded(0):
        timm = require("timm", extra="zoo")
        model = timm.create_model("vit_small_patch16_224", img_size=pixels).eval()
        return model, torch.randn(1, 3, pixels, pixels)


def plain(model: nn.Module, images: Tensor) -> Tensor:
    """Run the forward pass."""
    return model(images)


def ours(model: nn.Module, images: Tensor) -> Tensor:
    """Return the rollout of the class token, (batch, token), without a matrix."""
    with capture(model, keep="operators") as seen:
        model(images)
    return rollout(seen.records, 0).relevance


def explicit(model: nn.Module, images: Tensor) -> Tensor:
    """Return the same from stored matrices."""
    stored: list[Tensor] = []
    layers: Any = model.blocks
    hooks = [
        block.attn.attn_drop.register_forward_hook(lambda *call: stored.append(call[2]))
        for block in layers
    ]
    fused = [block.attn.fused_attn for block in layers]
    try:
        for block in layers:
            block.attn.fused_attn = False
        model(images)
    finally:
        for block, was in zip(layers, fused, strict=True):
            block.attn.fused_attn = was
        for hook in hooks:
            hook.remove()
    product = torch.eye(stored[0].shape[-1])[None]
    for weights in stored:
        layer = weights.mean(1) + torch.eye(weights.shape[-1])
        product = layer / layer.sum(-1, keepdim=True) @ product
    return product[:, 0]


def from_scratch(way: str, pixels: int) -> None:
    """Do it one way once, in a new process."""
    model, images = vit(pixels)
    with torch.no_grad():
        {"plain": plain, "ours": ours, "explicit": explicit}[way](model, images)


if __name__ == "__main__":
    main()
