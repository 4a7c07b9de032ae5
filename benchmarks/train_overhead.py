"""What the training loop costs over a bare one, and what bf16 with channels last gains.

Three ways to take the same step of ResNet-20 on 32×32 images at batch 128, interleaved:

- regard: `regard.train.fit`, as `regard train` runs it, with its data pipeline, moving average,
  checks and progress;
- bare: the same step by hand (same precision and memory format, augmented batches made before,
  the same optimizer, no moving average, nothing else);
- plain: the bare loop in float32 with contiguous tensors.

The figures are ratios of images per second, the median over rounds. The share of a step that the
input pipeline takes is timed on its own.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from regard.data import Augment, Batches, scenes
from regard.models import NetworkSpec, build
from regard.train import Recipe, fit, start_fabric
from regard.train.recipe import make_optimizer
from result import record

BATCH = 128


def main() -> None:
    """Measure, and write `results/train_overhead.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=24)
    options = parser.parse_args()
    dataset = scenes.make(BATCH * options.steps, seed=0).as_dataset()
    batches = Batches(dataset, BATCH, augment=Augment(), seed=0)
    recipe = Recipe(epochs=1, batch_size=BATCH)
    ready = list(batches.epoch(0))
    ways = {
        "regard": lambda: timed_fit(batches, recipe),
        "bare": lambda: timed_loop(ready, recipe, bf16=True),
        "plain": lambda: timed_loop(ready, recipe, bf16=False),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(options.rounds + 1):
        for name, run in ways.items():
            rate = len(dataset) / run()
            if round_number:  # the first round warms up
                rates[name].append(rate)
    pipeline = pipeline_seconds(batches) / (len(dataset) / statistics.median(rates["regard"]))
    record(
        "train_overhead",
        {
            "regard_over_bare": ratio(rates["regard"], rates["bare"]),
            "bf16_channels_last_over_fp32_contiguous": ratio(rates["bare"], rates["plain"]),
            "input_pipeline_share_of_a_step": round(pipeline, 4),
            "images_per_second": {k: round(statistics.median(v), 1) for k, v in rates.items()},
            "rounds": {k: [round(rate, 1) for rate in v] for k, v in rates.items()},
        },
        n=options.rounds,
    )


def ratio(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Return the median of the rounds' ratios, and the extremes."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
    }


def timed_fit(batches: Batches, recipe: Recipe) -> float:
    """Train one epoch with Regard; return seconds."""
    model = build(NetworkSpec("resnet20", classes=10, attention="none"))
    fabric = start_fabric("cpu", "bf16")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fit(model, batches, out=Path(folder), recipe=recipe, fabric=fabric, quiet=True)
        return time.perf_counter() - start


def timed_loop(
    ready: list[tuple[torch.Tensor, torch.Tensor]], recipe: Recipe, *, bf16: bool
) -> float:
    """Train one epoch by hand on batches made before; return seconds."""
    model = build(NetworkSpec("resnet20", classes=10, attention="none")).train()
    layout = torch.channels_last if bf16 else torch.contiguous_format
    model.to(memory_format=layout)
    optimizer = make_optimizer(model, recipe)
    start = time.perf_counter()
    for images, labels in ready:
        step(model, optimizer, images.contiguous(memory_format=layout), labels, bf16=bf16)
    return time.perf_counter() - start


def step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    bf16: bool,
) -> None:
    """Take one step."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = model(images)
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def pipeline_seconds(batches: Batches) -> float:
    """Return the seconds that making one epoch's batches takes, the median of five."""
    seconds = []
    for epoch in range(5):
        start = time.perf_counter()
        for _ in batches.epoch(epoch):
            pass
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
