"""Images with a class for every pixel, in memory or read when they are needed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import UInt8
from torch import Tensor

from regard.core.errors import InputError
from regard.core.labels import VOID
from regard.data.left_out import warn_left_out

IN_MEMORY_LIMIT = 1 << 30
"""Sets that take less than this many bytes decoded are kept in memory."""

Picture = UInt8[Tensor, "3 height width"]
ClassMask = UInt8[Tensor, "height width"]
"""Class indices, or `VOID`."""


@runtime_checkable
class Pairs(Protocol):
    """Images and their masks by number: what a source of data has to give."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def title(self, index: int) -> str:
        """Return what a pair is called in reports, such as its file's name."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image in pixels, without decoding it."""
        ...

    def read(self, index: int) -> tuple[Picture, ClassMask]:
        """Return an image and its mask of the same size: class indices, or `VOID`.

        Raises:
            InputError: one of them cannot be read, or they do not fit each other.

        """
        ...

    def fingerprint(self) -> str:
        """Return hexadecimal digits that follow from images, masks and their order."""
        ...


@dataclass(frozen=True, eq=False)
class MemoryPairs:
    """Images and masks that are decoded already.

    Attributes:
        images: each (3, height, width), uint8.
        masks: each (height, width), uint8.
        titles: what each is called.

    """

    images: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    titles: tuple[str, ...]

    def __post_init__(self) -> None:
        for image, mask, title in zip(self.images, self.masks, self.titles, strict=True):
            if image.shape != (3, *mask.shape) or {image.dtype, mask.dtype} != {torch.uint8}:
                raise InputError(
                    f"{title}: image {image.dtype} {tuple(image.shape)} and mask {mask.dtype} "
                    f"{tuple(mask.shape)}; give uint8 of (3, height, width) and (height, width)"
                )

    def __len__(self) -> int:
        return len(self.images)

    def title(self, index: int) -> str:
        """Return what a pair is called."""
        return self.titles[index]

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width)."""
        height, width = self.masks[index].shape
        return height, width

    def read(self, index: int) -> tuple[Picture, ClassMask]:
        """Return an image and its mask."""
        return self.images[index], self.masks[index]

    def fingerprint(self) -> str:
        """Return hexadecimal digits that follow from every pixel."""
        digest = sha256()
        for image, mask in zip(self.images, self.masks, strict=True):
            digest.update(repr(tuple(mask.shape)).encode())
            digest.update(image.contiguous().numpy().data)
            digest.update(mask.contiguous().numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Some pairs of others, in an order of their own."""

    whole: Pairs
    order: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.order)

    def title(self, index: int) -> str:
        return self.whole.title(self.order[index])

    def size(self, index: int) -> tuple[int, int]:
        return self.whole.size(self.order[index])

    def read(self, index: int) -> tuple[Picture, ClassMask]:
        return self.whole.read(self.order[index])

    def fingerprint(self) -> str:
        return sha256(repr((self.whole.fingerprint(), self.order)).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class SegmentationDataset:
    """Images, a class for every pixel of them, and the names of the classes.

    Attributes:
        pairs: the images and masks.
        classes: the names of the classes; mask value `i` is `classes[i]`, 255 is void.
        name: what the set is called in reports, such as `"camvid/test"`.
        problems: what was left out or repaired while the set was opened, one line each.

    Raises:
        InputError: there are no images, or not 1 to 255 classes with different names.

    """

    pairs: Pairs
    classes: tuple[str, ...]
    name: str
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.pairs):
            first = f": {self.problems[0]}" if self.problems else ""
            raise InputError(f"{self.name} has no image with a mask{first}")
        if not 1 <= len(self.classes) <= VOID:
            raise InputError(
                f"{self.name} has {len(self.classes)} classes; give 1 to {VOID}: masks are bytes, "
                f"and {VOID} stands for void"
            )
        twice = [name for name, count in Counter(self.classes).items() if count > 1]
        if twice:
            raise InputError(f"{self.name}: the class name {twice[0]!r} occurs twice")

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def size(self) -> tuple[int, int]:
        """The most frequent (height, width) of the images, in pixels."""
        return Counter(map(self.pairs.size, range(len(self)))).most_common(1)[0][0]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that follow from images, masks and class names."""
        return sha256(repr((self.pairs.fingerprint(), self.classes)).encode()).hexdigest()[:16]

    def subset(self, indices: Sequence[int] | Tensor) -> "SegmentationDataset":
        """Return the set of these images, in this order; the classes stay all."""
        order = tuple(int(index) for index in indices)
        outside = [index for index in order if not 0 <= index < len(self)]
        if outside:
            raise InputError(f"{self.name} has {len(self)} images; there is no image {outside[0]}")
        return replace(self, pairs=_Chosen(self.pairs, order))

    def in_memory(self, limit: int = IN_MEMORY_LIMIT) -> "SegmentationDataset":
        """Return the set decoded if it takes less than `limit` bytes, else the set itself.

        Pairs that cannot be read are left out, and reported in `problems` and in the log.

        Raises:
            InputError: none can be read.

        """
        if isinstance(self.pairs, MemoryPairs):
            return self
        try:
            sizes = [self.pairs.size(index) for index in range(len(self))]
        except InputError:
            sizes = []
        if not sizes or sum(4 * height * width for height, width in sizes) > limit:
            return self
        read, problems = [], []
        for index in range(len(self)):
            try:
                read.append((*self.pairs.read(index), self.pairs.title(index)))
            except InputError as error:
                problems.append(str(error))
        if not read:
            raise InputError(f"{self.name}: none of {len(self)} images can be used: {problems[0]}")
        warn_left_out(self.name, problems, len(self))
        images, masks, titles = zip(*read, strict=True)
        pairs = MemoryPairs(images, masks, titles)
        return replace(self, pairs=pairs, problems=(*self.problems, *problems))
