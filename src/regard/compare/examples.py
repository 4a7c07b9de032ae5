"""A few test images, and what of each is explained: fixed, so that none is picked for its looks."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from regard.compare.study import Study
from regard.core.boxes import area
from regard.core.errors import InputError
from regard.data import FolderDataset, ImageDataset, read_image
from regard.data.detection_sources import open_detection
from regard.data.placement import letterbox
from regard.data.segmentation_sources import open_segmentation
from regard.data.sources import open_dataset
from regard.explain import ClassMask
from regard.models import VisionModel

COUNT = 4
"""The first test image of so many classes."""

_LEAST_OF_MASK = 0.01
"""Of the picture: a class that covers less is not explained by it."""


@dataclass(frozen=True)
class Example:
    """An image, and what every variant is asked about it.

    Attributes:
        label: the true class, of the image or of what is asked about.
        image: the picture.
        target: what is explained, given the model; None for its likeliest class.

    """

    label: str
    image: Image.Image
    target: Callable[[VisionModel], Any] = lambda model: None


def examples(study: Study) -> list[Example]:
    """Return the first test image of each of the first classes that occur.

    A classifier is asked about its likeliest class, a detector about what it finds at a true box of
    the class (of several, at the one of middle size), a segmenter about its mask of the class.
    """
    if study.task == "detect":
        return _with_boxes(study.data)
    return _with_masks(study.data) if study.task == "segment" else _of_classes(study.data)


def _of_classes(data: str) -> list[Example]:
    images = open_dataset(data, "test")
    found: dict[int, Image.Image] = {}
    for index, label in enumerate(images.labels.tolist()):
        if label not in found and (image := _opened(images, index)) is not None:
            found[label] = image
        if len(found) == COUNT:
            break
    return [Example(images.classes[label], image) for label, image in found.items()]


def _opened(images: ImageDataset | FolderDataset, index: int) -> Image.Image | None:
    """Return an image, or None where its file is broken, which is reported when it is measured."""
    if isinstance(images, ImageDataset):
        return Image.fromarray(images.images[index].permute(1, 2, 0).numpy())
    with suppress(InputError):
        return read_image(images.files[index])
    return None


def _with_boxes(data: str) -> list[Example]:
    images = open_detection(data, "test")
    found: dict[int, Example] = {}
    for index, boxes in enumerate(images.truth):
        true = boxes.chosen(~boxes.ignored)
        new = [label for label in true.labels.unique().tolist() if label not in found]
        if not new:
            continue
        try:
            image = Image.fromarray(images.pixels(index))
        except InputError:
            continue  # reported when it is measured
        for label in new:
            mine = true.corners[true.labels == label]
            middle = mine[area(mine).argsort()[len(mine) // 2]]
            target = _box(images.classes[label], middle, (image.height, image.width))
            found[label] = Example(images.classes[label], image, target)
        if len(found) >= COUNT:
            break
    return list(found.values())[:COUNT]


def _box(label: str, corners: torch.Tensor, size: tuple[int, int]) -> Callable[[VisionModel], str]:
    """Return what names a box of an image of `size` in the pixels that a model looks at."""

    def target(model: VisionModel) -> str:
        placed = letterbox(size, model.preprocessing.size).corners(corners[None], size)[0]
        return f"{label}@{','.join(f'{side:.2f}' for side in placed.tolist())}"

    return target


def _with_masks(data: str) -> list[Example]:
    images = open_segmentation(data, "test")
    found: dict[int, Image.Image] = {}
    for index in range(len(images)):
        try:
            picture, mask = images.pairs.read(index)
        except InputError:
            continue  # reported when it is measured
        counts = mask.flatten().long().bincount(minlength=len(images.classes))
        for label in range(len(images.classes)):
            if counts[label] >= _LEAST_OF_MASK * mask.numel() and label not in found:
                found[label] = Image.fromarray(picture.permute(1, 2, 0).numpy())
        if len(found) >= COUNT:
            break
    return [
        Example(images.classes[label], image, lambda _, label=label: ClassMask(label))
        for label, image in list(found.items())[:COUNT]
    ]
