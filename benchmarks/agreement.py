"""Our raw maps against the peers': Pearson's correlation, per method, model and seed.

Correlation does not see the peers' stretching to [0, 1]; their maps are taken before they resize
them. Where a peer computes something else than the paper, `as_is` is the correlation with what it
computes and `aligned` with what it computes once that difference is taken out, which `because`
names. Weights are random, drawn anew for each seed; images are noise.
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from regard.core.packages import require
from regard.core.seeding import seeded
from regard.explain.explainer import Maps
from regard.explain.layer import find_layer
from regard.explain.targets import Likeliest, Score
from result import record

PIXELS, IMAGES = 128, 2


def main() -> None:
    """Measure, and write `results/agreement.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    require("torchvision", extra="zoo")  # makes torchvision importable for the peers too
    figures: dict[str, Any] = {"pixels": PIXELS, "images": IMAGES}
    # One entry for each peer: its name, and what compares with it.
    for peer, compare in {"grad-cam": class_activation_maps}.items():
        figures[peer] = compare(range(options.seeds))
        record("agreement", figures, n=options.seeds)


@dataclass(frozen=True)
class Pair:
    """A method of ours and the peer's.

    Attributes:
        ours: its name, which is its module's.
        theirs: the name of the peer's class.
        options: for ours.
        because: what differs between the peer and the paper, if anything.
        aligned: options for ours that take the difference out.
        without: a context in which the peer computes without the difference.
        targets: of the peer, if not each image's class: (class scores, alpha) → targets.
        scale: what the class scores are multiplied by for `aligned`.
        only: the models of which `because` is true; all if empty.

    """

    ours: str
    theirs: str
    options: dict[str, Any] = field(default_factory=dict)
    because: str = ""
    aligned: dict[str, Any] | None = None
    without: Callable[[], AbstractContextManager[Any]] = nullcontext
    targets: Callable[[Tensor], Sequence[Any]] | None = None
    scale: float = 1.0
    only: str = ""


def corners_not_aligned() -> AbstractContextManager[Any]:
    """Let the peer's masks be scaled with edges on edges."""
    return patch("torch.nn.UpsamplingBilinear2d", partial(nn.Upsample, mode="bilinear"))


def zero_is_absent() -> AbstractContextManager[Any]:
    """Let the peer's ablation of tokens put 0 in the channel of every patch."""
    peer = import_module("pytorch_grad_cam.ablation_layer").AblationLayerVit

    def call(self: Any, _output: Tensor) -> Tensor:
        for copy, channel in enumerate(self.indices[: len(self.activations)]):
            self.activations[copy, 1:, channel] = 0
        return self.activations

    return patch.object(peer, "__call__", call)


def mean_of_closest(scores: Tensor) -> Sequence[Any]:
    """Return targets of the peer: a class less 0.6 times the mean of the three closest scores."""

    def target(row: Tensor) -> Callable[[Tensor], Tensor]:
        best, *closest = row.argsort(descending=True)[:4].tolist()
        return lambda output: output[best] - 0.6 * output[closest].mean()

    return [target(row) for row in scores]


PAIRS = (
    Pair("grad_cam", "GradCAM"),
    Pair(
        "grad_cam_plus_plus",
        "GradCAMPlusPlus",
        because="the peer adds 1e-6 to equation 19's denominator, which is more than the square "
        "of a usual gradient; with scores a million times as large it is nothing",
        aligned={},
        scale=1e6,
    ),
    Pair("x_grad_cam", "XGradCAM"),
    Pair("hires_cam", "HiResCAM"),
    Pair("layer_cam", "LayerCAM"),
    Pair(
        "eigen_cam",
        "EigenCAM",
        because="the peer centres the features; the paper's equations do not",
        aligned={"centred": True},
    ),
    Pair(
        "score_cam",
        "ScoreCAM",
        options={"precision": "float32"},
        because="the peer scales masks with corners on corners, so that they lie askew on the "
        "image; the authors' code does not",
        aligned={"precision": "float32"},
        without=corners_not_aligned,
    ),
    Pair(
        "ablation_cam",
        "AblationCAM",
        because="the peer puts -1e7 in place of a channel of features below zero, in the class "
        "token too; the paper puts 0",
        aligned={},
        without=zero_is_absent,
        only="vit",
    ),
    Pair(
        "finer_cam",
        "FinerCAM",
        because="the peer weighs the reference classes by their probabilities, through which it "
        "differentiates too, and takes alpha = 1; the paper takes their mean and 0.6",
        aligned={},
        targets=mean_of_closest,
    ),
)


def class_activation_maps(seeds: Sequence[int]) -> dict[str, Any]:
    """Return the lowest correlation over seeds and images, of each method on each model."""
    peer = import_module("pytorch_grad_cam")
    figures: dict[str, Any] = {}
    for name in ("resnet18", "vit_tiny_patch16_224"):
        for pair in PAIRS:
            rows = [one_seed(peer, pair, name, seed) for seed in seeds]
            found = {key: min(row[key] for row in rows) for key in rows[0]}
            differs = pair.because and pair.only in name
            figures.setdefault(pair.ours, {})[name] = found
            if differs:
                figures[pair.ours]["because"] = pair.because
    return figures


def one_seed(peer: Any, pair: Pair, name: str, seed: int) -> dict[str, float]:
    """Return the correlation of the two as they are and, where that differs, aligned."""
    model, images = drawn(name, seed)
    found = {"as_is": correlation(ours(pair, model, images), theirs(peer, pair, model, images))}
    if pair.aligned is not None and pair.only in name:
        scaled = Scaled(model, pair.scale)
        mine = ours(pair, scaled, images, **pair.aligned)
        with pair.without():
            other = theirs(peer, pair, scaled, images, pair.targets)
        found["aligned"] = correlation(mine, other)
    return found


def drawn(name: str, seed: int) -> tuple[nn.Module, Tensor]:
    """Return a network of timm and images of noise."""
    timm = require("timm", extra="zoo")
    size = {"img_size": PIXELS} if name.startswith("vit") else {}
    with seeded(seed):
        return timm.create_model(name, **size).eval(), torch.randn(IMAGES, 3, PIXELS, PIXELS)


class Scaled(nn.Module):
    """A model whose class scores are multiplied."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model = model
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores."""
        return self.factor * self.model(images)


def likeliest(model: nn.Module, images: Tensor) -> tuple[Score, Tensor]:
    """Return the score of each image's likeliest class, and all class scores."""
    with torch.no_grad():
        output = model(images)
    return Likeliest().score(output, ()), output


def ours(pair: Pair, model: nn.Module, images: Tensor, **options: Any) -> Maps:
    """Return our maps."""
    method = getattr(import_module(f"regard.explain.{pair.ours}"), pair.ours)
    return method(model, images, likeliest(model, images)[0], **(options or pair.options))


def theirs(
    peer: Any,
    pair: Pair,
    model: nn.Module,
    images: Tensor,
    targets: Callable[[Tensor], Sequence[Any]] | None = None,
) -> np.ndarray:
    """Return the peer's maps as it computes them, before it stretches and resizes them."""
    score, output = likeliest(model, images)
    layer = find_layer(model, images, score)
    options: dict[str, Any] = {}
    if layer.form == "tokens":
        options["reshape_transform"] = layer.to_map
        if pair.ours == "ablation_cam":
            options["ablation_layer"] = peer.ablation_layer.AblationLayerVit()
    method = getattr(peer, pair.theirs)(model, [layer.module], **options)
    computing = getattr(method, "base_cam", method)
    kept: list[np.ndarray] = []
    compute = computing.get_cam_image

    def keep(*arguments: Any) -> np.ndarray:
        kept.append(compute(*arguments))
        return kept[-1]

    computing.get_cam_image = keep
    with method, patch("tqdm.tqdm", iter):  # no bar on the screen for each image
        method(images, targets=None if targets is None else targets(output))
    return kept[0]


def correlation(mine: Maps, other: np.ndarray) -> float:
    """Return the lowest of the images' correlations; the sign of a singular vector is free."""
    other = np.maximum(other, 0) if mine.kind == "positive" else other
    rows = [
        float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        for a, b in zip(mine.values.double().numpy(), other.astype(np.float64), strict=True)
    ]
    return round(min(abs(r) for r in rows), 7)


if __name__ == "__main__":
    main()
