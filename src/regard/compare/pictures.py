"""What each variant attends to on a few test images, side by side, each map with its verdict."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regard.check import see
from regard.compare.study import Study, Variant
from regard.compare.trial import Trial
from regard.core.errors import InputError
from regard.core.explanation import Explanation
from regard.core.run_files import is_finished
from regard.data import ImageDataset, read_image
from regard.data.sources import open_dataset
from regard.models import VisionModel
from regard.models.load import load
from regard.show.explanation_overlay import overlaid
from regard.show.self_contained import picture_uri

COUNT = 4
"""The first test image of so many classes: fixed, so that none is picked for its looks."""

_SIDE = 160


def pictures(study: Study, folder: Path, variants: list[Variant]) -> list[dict[str, Any]]:
    """Return the maps of every variant's runs of one seed, as plain values with pictures in them.

    It is the first seed of which all runs are here; where there is none, that with the most.

    Of classifiers; for boxes and masks there is no one thing to explain in an image.

    Args:
        study: says the data and the seeds.
        folder: the study's.
        variants: all of them.

    """
    if study.task != "classify":
        return []
    models = {variant: load(run) for variant, run in _runs(study, folder, variants).items()}
    if not models:  # all were merged in, and their weights are elsewhere
        return []
    return [
        {
            "label": label,
            "image": picture_uri(
                np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
            ),
            "maps": [_seen(variant, model, image) for variant, model in models.items()],
        }
        for label, image in _images(study.data)
    ]


def _runs(study: Study, folder: Path, variants: list[Variant]) -> dict[Variant, Path]:
    """Return the finished runs of one seed."""
    by_seed = (
        {v: run for v in variants if is_finished(run := Trial(v, seed).folder(folder))}
        for seed in study.every_seed
    )
    return max(by_seed, key=len)


def _images(data: str) -> list[tuple[str, Image.Image]]:
    """Return the first test image of each of the first classes that occur."""
    images = open_dataset(data, "test")
    found: dict[int, int] = {}
    for index, label in enumerate(images.labels.tolist()):
        found.setdefault(label, index)
        if len(found) == COUNT:
            break
    if isinstance(images, ImageDataset):
        pixels = {label: images.images[index] for label, index in found.items()}
        opened = {label: Image.fromarray(p.permute(1, 2, 0).numpy()) for label, p in pixels.items()}
    else:
        opened = {label: read_image(images.files[index]) for label, index in found.items()}
    return [(images.classes[label], image) for label, image in opened.items()]


def _seen(variant: Variant, model: VisionModel, image: Image.Image) -> dict[str, Any]:
    told: dict[str, Any] = {"variant": variant.name, "model": variant.model}
    try:
        found = see(model, image)
    except InputError as error:  # a network that no method fits
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
