"""A labelled set of equal-size images, decoded and in memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from regard.core.errors import InputError


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images as bytes, with a class each.

    Attributes:
        images: (n, 3, height, width), uint8, RGB.
        labels: (n,), int64, indices into `classes`.
        classes: the names of the classes.
        name: what the set is called in reports, such as `"cifar10/train"`.

    Raises:
        InputError: the parts do not fit each other.

    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if self.images.dtype != torch.uint8 or len(shape) != 4 or shape[1] != 3 or 0 in shape:
            raise InputError(
                f"{self.name}: images are {self.images.dtype} of shape {shape}; "
                "give uint8 RGB of shape (n, 3, height, width), none of them 0"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != (shape[0],):
            raise InputError(
                f"{self.name}: labels are {self.labels.dtype} of shape "
                f"{tuple(self.labels.shape)}; give one int64 for each of the {shape[0]} images"
            )
        if len(set(self.classes)) != len(self.classes):
            raise InputError(f"{self.name}: a class name occurs twice in {self.classes}")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.classes):
            raise InputError(
                f"{self.name}: labels run from {low} to {high}, "
                f"but there are {len(self.classes)} classes (0 to {len(self.classes) - 1})"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every image, in pixels."""
        return self.images.shape[2], self.images.shape[3]

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that follow from the images, labels and class names alone."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.classes)).encode())
        for tensor in (self.images, self.labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def subset(self, indices: Sequence[int] | slice | Int[Tensor, " chosen"]) -> "ImageDataset":
        """Return the set of these images, in this order; the classes stay all."""
        if not isinstance(indices, slice | Tensor):
            indices = torch.tensor(indices, dtype=torch.int64)
        try:
            images, labels = self.images[indices], self.labels[indices]
        except IndexError as error:
            raise InputError(f"{self.name} has {len(self)} images: {error}") from error
        return replace(self, images=images, labels=labels)
