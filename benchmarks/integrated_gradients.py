"""Integrated gradients: what a completeness error costs, ours and Captum's (50 Gauss points).

timm's ResNet-18 and ViT-S/16 with random weights, and the ImageNet classifier `efficientnet-lite0`
with its own, on photographs (on noise without `--data`); the likeliest class, from a grey image.

- `captum`, by steps: completeness error, |sum of the map - change of the score| / |change|;
- `ours`, by the error that was asked for: gradients taken, completeness error reached;
- `captum_steps_for_1_percent`: the fewest steps tried that come to it. A user does not know them:
  the error neither falls evenly with the steps, nor is it told;
- `ours_for_captums_error`: gradients that ours takes where it is asked for Captum's error at 50;
- times of the whole call: ours for 1 %, over Captum's 50 steps, and over its fewest for 1 %;
- how far both maps are from one of many equal steps, as a share of its length: completeness is a
  condition, and not the map's accuracy.

Both give the model 16 images at once. Needs the extras `zoo`, `photo` and `bench`.
"""

import argparse
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from interleaved import interleaved, ratio
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.explain.input_gradient import input_gradient
from regard.explain.integrated_gradients import integrated_gradients
from regard.explain.targets import Score, resolve
from regard.models.load import load
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from result import record

MODELS = ("resnet18", "vit_small_patch16_224", "photo:efficientnet-lite0")
STEPS = (5, 10, 20, 50, 100, 200)
DEFAULT_STEPS = 50
ERRORS = (0.1, 0.03, 0.01)
CHUNK = 16


def main() -> None:
    """Measure, and write `results/integrated_gradients.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of photographs")
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--reference", type=int, default=200, help="equal steps of the fine map")
    parser.add_argument("--shared", action="store_true", help="other jobs ran on the machine")
    options = parser.parse_args()
    require("captum", extra="bench")
    figures: dict[str, Any] = {
        "machine_was_shared": options.shared,
        "images": "noise" if options.data is None else "photographs",
    }
    for name in options.models:
        figures[name] = measured(name, options)
        record("integrated_gradients", figures, n=options.images)


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one model."""
    model, images = subject(name, options.data, options.images)
    cases = [Case(model, image[None]) for image in images]
    captum = captum_errors(cases, options.steps)
    ours = {error: [case.counted(error) for case in cases] for error in ERRORS}
    needed = [
        next((steps for steps, errors in captum.items() if errors[number] <= 0.01), None)
        for number in range(len(cases))
    ]
    equal = [
        case.counted(max(error, 1e-4))
        for case, error in zip(cases, captum[DEFAULT_STEPS], strict=True)
    ]
    return {
        "captum_completeness_error_by_steps": {str(n): shortened(e) for n, e in captum.items()},
        "ours_by_error_asked_for": {
            str(error): {
                "gradients": [count for count, _ in found],
                "completeness_error": shortened([reached for _, reached in found]),
            }
            for error, found in ours.items()
        },
        "captum_steps_for_1_percent": [n or f"more than {max(captum)}" for n in needed],
        "ours_for_captums_error": [count for count, _ in equal],
        **times(cases[0], needed[0] or max(captum), options.rounds),
        "relative_distance_from_fine_map": distances(cases[0], options.reference),
    }


def captum_errors(cases: list["Case"], choices: tuple[int, ...]) -> dict[int, list[float]]:
    """Return the errors of all images by Captum's steps, as far as they tell anything new."""
    errors: dict[int, list[float]] = {}
    for steps in sorted({*choices, DEFAULT_STEPS}):
        if steps > DEFAULT_STEPS and max(errors[DEFAULT_STEPS]) <= 0.01:
            break
        errors[steps] = [case.error_of(case.captum(steps)) for case in cases]
    return errors


def times(case: "Case", needed: int, rounds: int) -> dict[str, Any]:
    """Return the ratios of the whole calls on one image."""
    ways: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: case.ours(0.01),
        "default": lambda: case.captum(DEFAULT_STEPS),
        "needed": lambda: case.captum(needed),
    }
    seconds, _ = interleaved(ways, rounds)
    return {
        "rounds": rounds,
        "captum_default_seconds": round(statistics.median(seconds["default"]), 3),
        "captum_default_time_over_ours": ratio(seconds["default"], seconds["ours"]),
        f"captum_{needed}_steps_time_over_ours": ratio(seconds["needed"], seconds["ours"]),
    }


def distances(case: "Case", steps: int) -> dict[str, Any]:
    """Return how far the maps of the first image are from that of many equal steps."""
    fine = case.equal_steps(steps)
    maps = {
        **{f"ours_{error}": case.ours(error) for error in ERRORS},
        "captum_50_steps": case.captum(DEFAULT_STEPS),
    }
    return {
        "equal_steps": steps,
        **{name: round(float((m - fine).norm() / fine.norm()), 4) for name, m in maps.items()},
    }


class Case:
    """One image, and both ways to explain its likeliest class."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        self.model, self.image = model, image
        with torch.no_grad():
            output, before = model(image), model(torch.zeros_like(image))
        self.score: Score = resolve(None, output)
        self.target = int(output.argmax())
        self.change = float(output[0, self.target] - before[0, self.target])

    def ours(self, error: float) -> Tensor:
        """Return our map."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where it is not reached, the figures tell
            maps = integrated_gradients(
                self.model, self.image, self.score, error=error, most=1000, chunk=CHUNK
            )
        return maps.values[0]

    def captum(self, steps: int) -> Tensor:
        """Return Captum's map, summed over channels."""
        attr = require("captum.attr", extra="bench")
        found = attr.IntegratedGradients(self.model).attribute(
            self.image, target=self.target, n_steps=steps, internal_batch_size=CHUNK
        )
        return found.sum(1)[0].detach().float()

    def equal_steps(self, steps: int) -> Tensor:
        """Return the map of equal steps, at their middles."""
        total = torch.zeros_like(self.image[0])
        for first in range(0, steps, CHUNK):
            at = (torch.arange(first, min(first + CHUNK, steps)) + 0.5) / steps
            copies = at[:, None, None, None] * self.image
            total += input_gradient(self.model, copies, self.score, 0).gradient.sum(0) / steps
        return (total * self.image[0]).sum(0)

    def counted(self, error: float) -> tuple[int, float]:
        """Return how many gradients ours took, and the completeness error of its map."""
        rows: list[int] = []

        def count(_module: nn.Module, args: tuple[Tensor]) -> None:
            rows.append(len(args[0]) if torch.is_grad_enabled() else 0)

        with self.model.register_forward_pre_hook(count):
            found = self.ours(error)
        return sum(rows), self.error_of(found)

    def error_of(self, found: Tensor) -> float:
        """Return the completeness error of a map."""
        return abs(float(found.double().sum()) - self.change) / abs(self.change)


def subject(name: str, data: Path | None, count: int) -> tuple[nn.Module, Tensor]:
    """Return a model and images for it."""
    if name.startswith("photo:"):
        loaded = load(name)
        model, preprocess = loaded, loaded.preprocessing
    else:
        with seeded(0):
            model = require("timm", extra="zoo").create_model(name).eval()
        preprocess = Preprocessing((224, 224), IMAGENET_MEAN, IMAGENET_STD)
    if data is None:
        with seeded(1):
            return model, torch.randn(count, 3, 224, 224)
    paths = sorted(data.glob("*.jpg"))
    chosen = paths[len(paths) // (2 * count) :: len(paths) // count][:count]
    return model, torch.cat([preprocess(Image.open(path).convert("RGB")) for path in chosen])


def shortened(numbers: list[float]) -> list[float]:
    """Return two digits of each."""
    return [float(f"{number:.2g}") for number in numbers]


if __name__ == "__main__":
    main()
