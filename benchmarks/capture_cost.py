"""What capture costs over the plain forward pass, beside the usual ways to see attention.

DINOv2-S in shape (12 layers, 6 heads, width 384, patch 14, random weights), one image:

- plain: transformers' model with its fused attention;
- capture: the same under `regard.capture(model, keep="operators")`; capture_all likewise with
  keep="tensors", which also holds every value and output;
- eager: transformers' own way, `attn_implementation="eager"` and `output_attentions=True`;
- timm, timm_capture and timm_stored: timm's model plain, under capture, and as vit-explain and
  its descendants have it: fused attention off, every layer's weights stored by a hook.

Times are ratios to the plain forward pass of the same library and the same round. Memory is the
peak of a process of its own, less the peak of one that only runs the plain forward pass; the query
and key that capture keeps are counted beside it. One row of one site is timed on its own.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from interleaved import interleaved, ratio
from peak_memory import available_bytes, peak_bytes
from regard.capture import capture
from regard.core.packages import require
from regard.core.record import AttentionRecord
from regard.core.seeding import seeded
from result import record

PIXELS = (224, 518, 896)
PATCH, WIDTH, LAYERS, HEADS = 14, 384, 12, 6
ROWS = 50


def main() -> None:
    """Measure, and write `results/capture_cost.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pixels", type=int, nargs="+", default=PIXELS)
    parser.add_argument("--shared", action="store_true", help="other jobs ran on the machine")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine_was_shared": options.shared}
    for pixels in options.pixels:
        figures[f"{pixels}_px"] = measured(pixels, options.rounds)
        record("capture_cost", figures, n=options.rounds)


def measured(pixels: int, rounds: int) -> dict[str, Any]:
    """Return the figures of one size."""
    tokens = (pixels // PATCH) ** 2 + 1
    stored = LAYERS * HEADS * tokens**2 * 4
    names = [name for name in WAYS if name not in STORING or stored * 1.5 < available_bytes()]
    kept = 2 * LAYERS * tokens * WIDTH * 4
    with torch.no_grad():
        ways = {name: without_result(WAYS[name](pixels)) for name in names}
        seconds, _ = interleaved(ways, rounds)
        row = row_over_forward(pixels)
    peaks = {name: peak_bytes(once, name, pixels) for name in names}
    figures: dict[str, Any] = {
        "tokens": tokens,
        "plain_seconds": round(statistics.median(seconds["plain"]), 4),
        "query_and_key_megabytes": round(kept / 1e6, 1),
        "one_row_over_plain": row,
    }
    for name in names:
        beside = "timm" if name.startswith("timm") else "plain"
        if name != beside:
            figures[f"{name}_over_{beside}"] = ratio(seconds[name], seconds[beside])
            figures[f"{name}_extra_megabytes"] = round((peaks[name] - peaks[beside]) / 1e6, 1)
    return figures | {name: "not run: too little memory" for name in WAYS if name not in names}


def without_result(run: Callable[[], Any]) -> Callable[[], None]:
    """Let go of the result at once: the next way should not find the memory full."""

    def run_only() -> None:
        run()

    return run_only


def transformers_model(pixels: int, attention: str) -> tuple[nn.Module, Tensor]:
    """Return DINOv2-S with random weights, and one image of noise."""
    transformers = require("transformers", extra="zoo")
    config = transformers.Dinov2Config(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=pixels,
        patch_size=PATCH,
        attn_implementation=attention,
    )
    with seeded(0):
        return transformers.Dinov2Model(config).eval(), torch.randn(1, 3, pixels, pixels)


def timm_model(pixels: int, *, fused: bool) -> tuple[nn.Module, Tensor]:
    """Return timm's ViT in the shape of DINOv2-S, and one image of noise."""
    timm = require("timm", extra="zoo")
    with seeded(0):
        model = timm.create_model(
            "vit_small_patch16_224", img_size=pixels, patch_size=PATCH, num_classes=0
        ).eval()
        for block in model.blocks:
            block.attn.fused_attn = fused
        return model, torch.randn(1, 3, pixels, pixels)


def plain(pixels: int) -> Callable[[], Any]:
    """Prepare the forward pass."""
    model, images = transformers_model(pixels, "sdpa")
    return lambda: model(images)


def captured(pixels: int) -> Callable[[], list[AttentionRecord]]:
    """Prepare the forward pass under capture."""
    return capturing(*transformers_model(pixels, "sdpa"), "operators")


def captured_all(pixels: int) -> Callable[[], list[AttentionRecord]]:
    """Prepare the forward pass under capture of everything."""
    return capturing(*transformers_model(pixels, "sdpa"), "tensors")


def capturing(model: nn.Module, images: Tensor, keep: Any) -> Callable[[], list[AttentionRecord]]:
    """Prepare the forward pass of any model under capture."""

    def run() -> list[AttentionRecord]:
        with capture(model, keep=keep) as seen:
            model(images)
        return list(seen.records)

    return run


def eager(pixels: int) -> Callable[[], Any]:
    """Prepare transformers' own way."""
    model, images = transformers_model(pixels, "eager")
    return lambda: model(images, output_attentions=True).attentions


def timm_plain(pixels: int) -> Callable[[], Any]:
    """Prepare timm's forward pass."""
    model, images = timm_model(pixels, fused=True)
    return lambda: model(images)


def timm_captured(pixels: int) -> Callable[[], list[AttentionRecord]]:
    """Prepare timm's forward pass under capture."""
    return capturing(*timm_model(pixels, fused=True), "operators")


def timm_stored(pixels: int) -> Callable[[], list[Tensor]]:
    """Prepare timm's forward pass without its fused attention, every matrix stored by a hook."""
    model, images = timm_model(pixels, fused=False)
    stored: list[Tensor] = []
    blocks: Any = model.blocks
    for block in blocks:
        block.attn.attn_drop.register_forward_hook(lambda *call: stored.append(call[2]))

    def run() -> list[Tensor]:
        stored.clear()
        model(images)
        weights = list(stored)
        stored.clear()
        return weights

    return run


WAYS: dict[str, Callable[[int], Callable[[], Any]]] = {
    "plain": plain,
    "capture": captured,
    "capture_all": captured_all,
    "eager": eager,
    "timm": timm_plain,
    "timm_capture": timm_captured,
    "timm_stored": timm_stored,
}
STORING = ("eager", "timm_stored")


def row_over_forward(pixels: int) -> dict[str, float]:
    """Return the time of one row of one captured site over that of a forward pass of timm's."""
    model, images = timm_model(pixels, fused=True)
    with capture(model, keep="operators") as seen:
        model(images)
    operator = seen["blocks.11.attn"].operator
    rows, forwards = [], []
    for number in range(ROWS // 10):
        start = time.perf_counter()
        model(images)
        forwards.append(time.perf_counter() - start)
        start = time.perf_counter()
        for query in range(10):
            operator.rows(number * 10 + query)
        rows.append((time.perf_counter() - start) / 10)
    return ratio(rows, forwards)


def once(name: str, pixels: int) -> None:
    """Do it one way once, in a new process."""
    run = WAYS[name](pixels)
    with torch.no_grad():
        run()


if __name__ == "__main__":
    main()
