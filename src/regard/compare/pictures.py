"""What each variant attends to on a few test images, side by side, each map with its verdict."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regard.check import see
from regard.compare.examples import Example, examples
from regard.compare.study import Study, Variant
from regard.compare.trial import Trial
from regard.core.errors import InputError
from regard.core.explanation import Explanation
from regard.core.run_files import is_finished
from regard.models import VisionModel
from regard.models.load import load
from regard.show.explanation_overlay import overlaid
from regard.show.self_contained import picture_uri

_SIDE = 160
"""Pixels of a picture's longer side."""


def pictures(study: Study, folder: Path, variants: list[Variant]) -> list[dict[str, Any]]:
    """Return the maps of every variant's runs of one seed, as plain values with pictures in them.

    It is the first seed of which all runs are here; where there is none, that with the most.

    Args:
        study: says the data and the seeds.
        folder: the study's.
        variants: all of them.

    """
    models = {variant: load(run) for variant, run in _runs(study, folder, variants).items()}
    if not models:  # all were merged in, and their weights are elsewhere
        return []
    return [
        {
            "label": example.label,
            "image": picture_uri(np.asarray(_small(example.image))),
            "maps": [_seen(variant, model, example) for variant, model in models.items()],
        }
        for example in examples(study)
    ]


def _runs(study: Study, folder: Path, variants: list[Variant]) -> dict[Variant, Path]:
    """Return the finished runs of one seed."""
    by_seed = (
        {v: run for v in variants if is_finished(run := Trial(v, seed).folder(folder))}
        for seed in study.every_seed
    )
    return max(by_seed, key=len)


def _small(image: Image.Image) -> Image.Image:
    scale = _SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def _seen(variant: Variant, model: VisionModel, example: Example) -> dict[str, Any]:
    told: dict[str, Any] = {"variant": variant.name, "model": variant.model}
    try:
        found = see(model, example.image, target=example.target(model))
    except InputError as error:  # it finds no such thing there, or no method fits it
        return {**told, "picture": None, "reason": str(error)}
    return {**told, **_described(found)}


def _described(found: Explanation) -> dict[str, Any]:
    likeliest = found.prediction[0] if found.prediction else None
    return {
        "picture": picture_uri(overlaid(found, size=_SIDE, verdict=False)),
        "predicted": None if likeliest is None else likeliest[0],
        "probability": None if likeliest is None else likeliest[1],
        "method": found.method,
        "level": found.verdict.level if found.verdict else None,
        "reason": found.verdict.reason if found.verdict else "",
    }
