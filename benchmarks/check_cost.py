"""What checks cost: deletion, insertion and weight randomisation beside Quantus', and a verdict.

timm's ResNet-18 with random weights, its normalisation set by noise as after training; one image of
noise at 224 pixels, another in each round; saliency of the likeliest class. Both sides get the same
map, model and image, in turns, on one thread. Where pixels are taken away, the map is that of their
ranks: saliency has equals, and which of them goes first is left open.

- `deletion`: Quantus' `PixelFlipping(features_in_step=1792)`, logits (`softmax=False`: with random
  weights all probabilities are near 0, and would agree whatever was computed), "black". In steps of
  1,792 pixels an image is gone after 28; Quantus, whose features are single channels, takes 84
  predictions, of which every third is at whole pixels. Ours at those 28 (`same_steps`), and at all
  84 (`same_points`), there to the nearest whole pixel. Values are the mean height of the curve, by
  the trapezoid rule, without the 0 % point, which Quantus leaves out; `spread` is the largest less
  the smallest of a curve, for scale.
- `insertion`: Quantus has none. It is its `PixelFlipping` from the blurred image, with a function
  that puts pixels of the image back; settings and values as for deletion.
- `weight_randomisation`: Quantus' `MPRT`, top-down, Spearman. For the values to be the same, the
  layers have to be reset to the same weights: for this benchmark alone, our generator of each layer
  is replaced by Quantus' seed. Ours at all of the 41 depths that Quantus runs (`every_depth`); at
  the last alone (`last_depth`), whose value Quantus returns with `return_last_correlation` from as
  many runs as before, or with `skip_layers` from 2; and as it comes, at 4 depths of shuffled
  weights (`as_it_comes`), which is another value, and is compared in time only.
- `verdict`: a quick one, in images that go through the model, and in time over a forward pass.
- `many_images`: deletion of 8 images, which Quantus runs together and we one after the other.

Each group is written as soon as it is measured; `--only` measures some again.

Quantus 0.6 asks for `opencv-python`, which lays its files over those of `opencv-python-headless`.
It runs with either, and so is no part of the extra `bench`:

    pip install --no-deps -c constraints.txt quantus cachetools pandas

With NumPy 2.4, which has no `np.trapz`, it cannot return areas (`return_auc_per_sample`): they are
taken here, of its curves. Needs the extras `bench` and `zoo`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from interleaved import interleaved, ratio
from quantus_peer import flipped, mprt, quantus, quantus_seed
from regard.check.case import Case
from regard.check.judge import judge
from regard.check.removal import area_under, curve, shares
from regard.check.see import judged
from regard.check.weight_randomisation import weight_randomisation
from regard.core.packages import require
from regard.core.seeding import generator, seeded
from regard.explain import Class, methods
from regard.explain.look import look
from regard.explain.targets import Score
from result import RESULTS, record

PIXELS = 1792
"""A step's, a 28th of the image; Quantus wants a divisor of the image's pixels."""
STEPS = 224 * 224 // PIXELS
CHANNELS = 3
TOGETHER = 8

WHOLE_STEPS = [step / STEPS for step in range(1, STEPS + 1)]
ALL_POINTS = [point / (CHANNELS * STEPS) for point in range(1, CHANNELS * STEPS + 1)]


@dataclass(frozen=True, eq=False)
class Subject:
    """One image, and what both sides get of it."""

    model: nn.Module
    image: Tensor
    likeliest: int
    score: Score
    map: Tensor

    def case(self) -> Case:
        """Return a case in which nothing is known yet."""
        return Case(self.model, self.image, self.score, explain=saliency)

    def ranks(self) -> Tensor:
        """Return the map's order, no two pixels alike: which of equals goes first is left open."""
        flat = self.map.flatten()
        return (
            torch.empty_like(flat)
            .scatter_(0, flat.argsort(), torch.arange(len(flat), dtype=flat.dtype))
            .view_as(self.map)
        )

    def for_mprt(self) -> tuple[nn.Module, Tensor, int, Tensor]:
        """Return what Quantus' MPRT gets."""
        return self.model, self.image, self.likeliest, self.map


def saliency(model: nn.Module, image: Tensor, score: Score) -> Tensor:
    """Return our saliency: of the channels the largest."""
    return methods["saliency"](model, image, score).values[0]


def main() -> None:
    """Measure, and write `results/check_cost.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP")
    parser.add_argument(
        "--shared",
        action="store_true",
        help="other jobs run on the machine: take this process's time, not the wall's",
    )
    options = parser.parse_args()
    clock = time.process_time if options.shared else time.perf_counter
    path = RESULTS / "check_cost.json"
    figures = json.loads(path.read_text())["figures"] if path.exists() else {}
    figures["quantus"] = quantus().__version__
    for group in options.only:
        rounds = 1 if group == "many_images" else options.rounds
        found = GROUPS[group](rounds, clock)
        figures[group] = {"rounds": rounds, "clock": "process" if options.shared else "wall"}
        figures[group] |= found
        record("check_cost", figures, n=options.rounds)


def prepared() -> nn.Module:
    """Return a ResNet-18 whose random weights tell images apart."""
    timm = require("timm", extra="zoo")
    with seeded(0), torch.no_grad():
        model = timm.create_model("resnet18")
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0  # the statistics of the next batch, and no others
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
        model.train()(torch.randn(8, CHANNELS, 224, 224))
        model.eval()
    return model


def noise(number: int) -> Tensor:
    """Return an image."""
    return torch.randn(1, CHANNELS, 224, 224, generator=generator(number))


def subjects(count: int) -> Iterator[Subject]:
    """Return images of one model, each with the map of its likeliest class."""
    model = prepared()
    for number in range(count):
        image = noise(number)
        with torch.no_grad():
            output = model(image)
        likeliest = int(output.argmax())
        score = Class(likeliest).score(output, ())
        yield Subject(model, image, likeliest, score, saliency(model, image, score)[None])


Ways = dict[str, Callable[[], Any]]
Clock = Callable[[], float]


def in_turns(
    rounds: int, ways: Callable[[Subject], Ways], clock: Clock
) -> tuple[dict[str, list[float]], list[dict[str, Any]]]:
    """Return the seconds of each way in each round, and what the ways returned; see `interleaved`.

    Each round has an image of its own.
    """
    seconds: dict[str, list[float]] = {}
    results = []
    for subject in subjects(rounds):
        taken, found = interleaved(ways(subject), 1, clock=clock)
        for name, times in taken.items():
            seconds.setdefault(name, []).extend(times)
        results.append(found)
    return seconds, results


def forward(model: nn.Module, image: Tensor) -> None:
    """Run the plain forward pass."""
    with torch.no_grad():
        model(image)


def units(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return what each way takes in forward passes."""
    unit = seconds["forward"]
    return {
        "forward_seconds": round(statistics.median(unit), 4),
        "forwards": {n: ratio(taken, unit) for n, taken in seconds.items() if n != "forward"},
    }


def theirs(those: Sequence[Subject], *, insert: bool = False) -> np.ndarray:
    """Return Quantus' curves: (image, point)."""
    images = torch.cat([one.image for one in those])
    maps = torch.cat([one.ranks() for one in those])
    classes = [one.likeliest for one in those]
    return flipped(those[0].model, images, classes, maps, pixels=PIXELS, insert=insert)


def ours(subject: Subject, areas: Sequence[float], *, insert: bool = False) -> np.ndarray:
    """Return our curve."""
    case, maps = subject.case(), subject.ranks().double()
    fill = "blur" if insert else float(subject.image.min())
    return curve(case, maps, shares(None, areas), fill=fill, keep=insert)[0].numpy()


def removal(rounds: int, clock: Clock, *, insert: bool = False) -> dict[str, Any]:
    """Compare deletion or insertion."""

    def ways(subject: Subject) -> Ways:
        return {
            "forward": lambda: forward(subject.model, subject.image),
            "same_steps": lambda: ours(subject, WHOLE_STEPS, insert=insert),
            "quantus": lambda: theirs([subject], insert=insert)[0],
            "same_points": lambda: ours(subject, ALL_POINTS, insert=insert),
        }

    seconds, results = in_turns(rounds, ways, clock)
    entry = {"predictions": {"same_steps": STEPS, "same_points": len(ALL_POINTS)}}
    entry["predictions"]["quantus"] = len(results[0]["quantus"])
    entry |= units(seconds)
    for name, areas, every in (
        ("same_steps", WHOLE_STEPS, CHANNELS),
        ("same_points", ALL_POINTS, 1),
    ):
        pairs = [(found[name], found["quantus"][every - 1 :: every]) for found in results]
        entry[name] = {
            "quantus_over_ours": ratio(seconds["quantus"], seconds[name]),
            **agreement(pairs, areas),
        }
    # What Quantus itself would return, its area over its width, and not only at whole pixels.
    full = [height(found["quantus"], ALL_POINTS) for found in results]
    coarse = [height(found["same_steps"], WHOLE_STEPS) for found in results]
    entry["same_steps"]["largest_difference_from_quantus_at_all_points"] = largest(full, coarse)
    return entry


def height(curve: np.ndarray, areas: Sequence[float]) -> float:
    """Return a curve's mean height."""
    return float(area_under(torch.from_numpy(curve).double()[None], areas)[0])


def agreement(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], areas: Sequence[float]
) -> dict[str, Any]:
    """Return how near our curves are to the other's."""
    heights = [tuple(height(curve, areas) for curve in pair) for pair in pairs]
    return {
        "mean_heights": [round(mine, 6) for mine, _ in heights],
        "largest_difference_of_mean_heights": largest(*zip(*heights, strict=True)),
        "largest_difference_of_a_point": max(largest(*pair) for pair in pairs),
        "spread": [round(float(np.ptp(mine)), 4) for mine, _ in pairs],
    }


def largest(first: Any, second: Any) -> float:
    """Return the largest difference of two sequences, to two digits."""
    return float(f"{np.abs(np.array(first) - np.array(second)).max():.2g}")


def randomised_by_us(subject: Subject, **options: Any) -> float:
    """Return our mean correlation."""
    return float(weight_randomisation(subject.case(), subject.map.double(), **options)[0])


def randomisation(rounds: int, clock: Clock) -> dict[str, Any]:
    """Compare weight randomisation."""
    depths = sum(hasattr(module, "reset_parameters") for module in prepared().modules())
    every = [depth / depths for depth in range(1, depths + 1)]

    def ways(subject: Subject) -> Ways:
        return {
            "forward": lambda: forward(subject.model, subject.image),
            "every_depth": lambda: randomised_by_us(subject, shares=every, how="reset"),
            "quantus": lambda: mprt(*subject.for_mprt()),
            "last_depth": lambda: randomised_by_us(subject, shares=(1.0,), how="reset"),
            "quantus_skip_layers": lambda: mprt(*subject.for_mprt(), skip_layers=True),
            "as_it_comes": lambda: randomised_by_us(subject),
        }

    with patch("regard.check.randomised.seeded", quantus_seed):
        seconds, results = in_turns(rounds, ways, clock)
    entry: dict[str, Any] = {"depths": {"every_depth": depths, "last_depth": 1, "as_it_comes": 4}}
    entry |= units(seconds)
    for name in ("every_depth", "last_depth", "as_it_comes"):
        entry[name] = {"quantus_over_ours": ratio(seconds["quantus"], seconds[name])}
        entry[name]["values"] = [round(found[name], 6) for found in results]
    entry["every_depth"]["largest_difference"] = largest(
        [found["every_depth"] for found in results],
        [statistics.fmean(found["quantus"]) for found in results],
    )
    entry["last_depth"] |= {
        "quantus_skip_layers_over_ours": ratio(
            seconds["quantus_skip_layers"], seconds["last_depth"]
        ),
        "largest_difference": largest(
            [found["last_depth"] for found in results], [found["quantus"][-1] for found in results]
        ),
    }
    return entry


def verdict(rounds: int, clock: Clock) -> dict[str, Any]:
    """Measure a quick verdict on two networks, each with its automatic method."""
    timm = require("timm", extra="zoo")
    entry = {}
    for name in ("resnet18", "vit_small_patch16_224"):
        with seeded(0):
            model = timm.create_model(name).eval()
        image = noise(0)
        seen = look(model, image, target=281)
        found = seen.explanations[0]
        if len(found.site) == 1:
            # As `regard.see` does: the layer is known by now.
            seen = replace(seen, options={**seen.options, "site": found.site[0]})
        ways = {
            "forward": lambda model=model, image=image: forward(model, image),
            "verdict": lambda seen=seen: judge(judged(seen, 0, seen.maps.values[0])),
        }
        seconds, results = interleaved(ways, rounds, clock=clock)
        entry[name] = {"method": found.method, "images": results["verdict"].forwards}
        entry[name] |= units(seconds)
    return entry


def many_images(rounds: int, clock: Clock) -> dict[str, Any]:
    """Compare deletion of several images, which the peer can run together."""
    those = list(subjects(TOGETHER))
    ways = {
        "same_steps": lambda: [ours(one, WHOLE_STEPS) for one in those],
        "quantus": lambda: theirs(those),
        "same_points": lambda: [ours(one, ALL_POINTS) for one in those],
    }
    seconds, _ = interleaved(ways, rounds, warm_up=False, clock=clock)
    return {
        "images": TOGETHER,
        **{
            f"quantus_over_ours_{name}": ratio(seconds["quantus"], seconds[name])
            for name in ("same_steps", "same_points")
        },
    }


GROUPS: dict[str, Callable[[int, Clock], dict[str, Any]]] = {
    "deletion": removal,
    "insertion": lambda rounds, clock: removal(rounds, clock, insert=True),
    "weight_randomisation": randomisation,
    "verdict": verdict,
    "many_images": many_images,
}


if __name__ == "__main__":
    main()
