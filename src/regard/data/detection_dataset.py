"""Images with boxes: files that are read when they are needed, or pixels in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from regard.core.errors import InputError
from regard.data.annotated import Annotated, stored_size
from regard.data.box_check import BoxReport
from regard.data.chosen import Indices, positions
from regard.data.image_file import read_image
from regard.data.image_folder import IN_MEMORY_LIMIT

Picture = Path | NDArray[np.uint8]
"""A file, or (height, width, 3) RGB bytes."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """The true boxes of one image.

    Attributes:
        corners: xyxy in pixels.
        labels: the class of each.
        ignored: neither to be found nor to be missed; left out of training.

    """

    corners: Float[Tensor, "box 4"]
    labels: Int64[Tensor, " box"]
    ignored: Bool[Tensor, " box"]

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, which: Tensor) -> "Boxes":
        """Return some of them, by a mask or by their places."""
        return Boxes(self.corners[which], self.labels[which], self.ignored[which])


@dataclass(frozen=True, eq=False)
class DetectionDataset:
    """Images with boxes.

    Attributes:
        pictures: one an image.
        truth: the boxes of each.
        classes: the names of the classes.
        name: what the set is called in reports, such as `"bccd/train"`.
        report: what the check of the boxes found; None for sets that are made, not read.

    Raises:
        InputError: the parts do not fit each other.

    """

    pictures: tuple[Picture, ...]
    truth: tuple[Boxes, ...]
    classes: tuple[str, ...]
    name: str
    report: BoxReport | None = field(default=None)

    def __post_init__(self) -> None:
        if not self.pictures or len(self.pictures) != len(self.truth):
            raise InputError(
                f"{self.name}: {len(self.pictures)} images, boxes of {len(self.truth)}; "
                "give at least one image, and the boxes of each"
            )
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise InputError(f"{self.name}: classes {self.classes}; give different names")
        high = max((int(boxes.labels.max()) for boxes in self.truth if len(boxes)), default=0)
        if high >= len(self.classes):
            raise InputError(f"{self.name}: label {high} of {len(self.classes)} classes")

    @classmethod
    def of(
        cls,
        images: Sequence[Annotated],
        classes: tuple[str, ...],
        name: str,
        report: BoxReport | None = None,
    ) -> "DetectionDataset":
        """Return the set of checked annotations, whose images stay files."""
        truth = tuple(
            Boxes(
                torch.tensor([box.corners for box in image.boxes]).reshape(-1, 4).float(),
                torch.tensor([classes.index(box.name) for box in image.boxes], dtype=torch.int64),
                torch.tensor([box.ignored for box in image.boxes], dtype=torch.bool),
            )
            for image in images
        )
        return cls(tuple(image.file for image in images), truth, classes, name, report)

    def __len__(self) -> int:
        return len(self.pictures)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Return an image, (height, width, 3) RGB bytes.

        Raises:
            InputError: its file cannot be read.

        """
        picture = self.pictures[index]
        return np.asarray(read_image(picture)) if isinstance(picture, Path) else picture

    @property
    def counts(self) -> dict[str, int]:
        """How many boxes there are of each class; the ignored ones do not count."""
        total = torch.zeros(len(self.classes), dtype=torch.int64)
        for boxes in self.truth:
            total += boxes.labels[~boxes.ignored].bincount(minlength=len(self.classes))
        return dict(zip(self.classes, total.tolist(), strict=True))

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that follow from the boxes, classes, and file names and sizes."""
        digest = sha256(repr(self.classes).encode())
        for picture, boxes in zip(self.pictures, self.truth, strict=True):
            if isinstance(picture, Path):
                size = picture.stat().st_size if picture.exists() else -1
                digest.update(repr((picture.name, size)).encode())
            else:
                digest.update(np.ascontiguousarray(picture).data)
            for tensor in (boxes.corners, boxes.labels, boxes.ignored):
                digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def subset(self, indices: Indices) -> "DetectionDataset":
        """Return the set of these images, in this order; the classes stay all."""
        order = positions(indices, len(self), self.name)
        pictures = tuple(self.pictures[index] for index in order)
        return replace(self, pictures=pictures, truth=tuple(self.truth[index] for index in order))

    def in_memory(self, limit: int = IN_MEMORY_LIMIT) -> "DetectionDataset":
        """Return the set with its images decoded, if they take less than `limit` bytes; or itself.

        Files that cannot be read stay files, so that whoever needs them says what is wrong.
        """
        if sum(map(_bytes, self.pictures)) > limit:
            return self
        return replace(self, pictures=tuple(_decoded(picture) for picture in self.pictures))


def _bytes(picture: Picture) -> int:
    if not isinstance(picture, Path):
        return picture.size
    try:
        height, width = stored_size(picture)
    except InputError:
        return 0
    return height * width * 3


def _decoded(picture: Picture) -> Picture:
    if not isinstance(picture, Path):
        return picture
    try:
        return np.asarray(read_image(picture))
    except InputError:
        return picture
