"""Batches of images with boxes, brought to one size and augmented by worker processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.core.shapes import Images
from regard.data.box_augment import BoxAugment, Example, recolour
from regard.data.detection_dataset import Boxes, DetectionDataset
from regard.data.image_file import read_image
from regard.data.placement import GREY, Size, draw_on, letterbox, place_boxes, stretch
from regard.data.reading import Problem, Reader, Unreadable, reading_workers
from regard.data.steps import Steps

# Names the random stream, as in `Batches`.
_AUGMENT = 2

Truth = list[dict[str, Tensor]]
"""One dict an image: `boxes` (n, 4) float32 xyxy in pixels of the image as it is handed out,
`labels` (n,) int64 from 0, and, where nothing is left out, `ignored` (n,) bool."""

_Item = tuple[Tensor, Boxes, Tensor, Problem[str] | None]


class DetectionBatches:
    """The batches of a detection set, with the interface of `Batches`.

    An image depends on nothing but the set, `seed`, epoch and its place in the set, whatever the
    number of workers. A file that cannot be read is left out of its batch, logged once, and kept
    in `unreadable`.

    Args:
        dataset: the images and their boxes.
        batch_size: images a step, over all ranks together.
        size: (height, width) that images are brought to, or one number for both.
        fit: `letterbox` keeps the shape and pads with grey, `stretch` does not.
        augment: how to augment, or None; augmented images keep their shape.
        keep_ignored: hand out ignored boxes too, marked, as evaluation needs them.
        seed: the seed of order and augmentation.
        device: where batches are handed out.
        shuffle: a new order each epoch.
        drop_last: leave out the last batch of an epoch where it is not full.
        workers: processes that read and augment; 0 does it in this one; None as
            `reading.reading_workers` says.
        rank, ranks: this process's number among the processes that train together.

    Attributes:
        unreadable: what was wrong, by file.

    Raises:
        InputError: as `Batches`; while reading, a batch without one readable image.

    """

    def __init__(
        self,
        dataset: DetectionDataset,
        batch_size: int,
        *,
        size: int | Size = 320,
        fit: Literal["letterbox", "stretch"] = "letterbox",
        augment: BoxAugment | None = None,
        keep_ignored: bool = False,
        seed: int = 0,
        device: torch.device | str = "cpu",
        shuffle: bool = True,
        drop_last: bool = False,
        workers: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._steps = Steps(
            len(dataset),
            batch_size,
            seed=seed,
            shuffle=shuffle,
            drop_last=drop_last,
            rank=rank,
            ranks=ranks,
        )
        self.size = (size, size) if isinstance(size, int) else size
        if min(self.size) < 1 or fit not in ("letterbox", "stretch"):
            raise InputError(f"size={size}, fit={fit!r}; give pixels, and 'letterbox' or 'stretch'")
        self.batch_size = batch_size
        self.classes = dataset.classes
        self.samples = len(dataset)
        self.unreadable: Unreadable[str] = Unreadable()
        self._keep_ignored = keep_ignored
        self._device = torch.device(device)
        examples = _Examples(dataset, self.size, fit, augment, seed)
        in_memory = not any(isinstance(picture, Path) for picture in dataset.pictures)
        workers = reading_workers(workers, in_memory=in_memory, device=self._device)
        self._read = Reader(examples, workers, collate=_together)

    def __len__(self) -> int:
        """Return the number of steps an epoch."""
        return len(self._steps)

    def epoch(self, index: int, start_step: int = 0) -> Iterator[tuple[Images, Truth]]:
        """Yield the batches of epoch `index`, from step `start_step` on.

        Yields:
            images (batch, 3, height, width), float32 in [0, 1], and the truth of each. Several
            epochs at once from the same object are not possible.

        """
        steps, mine = self._steps(index, start_step), self._steps.mine
        for read in self._read(index, [chosen[mine] for _, chosen in steps]):
            yield self._batch(read)

    def _batch(self, read: "_Read") -> tuple[Images, Truth]:
        self.unreadable.readable(read.problems)
        images = read.pixels.to(self._device, non_blocking=True)
        images = images.permute(0, 3, 1, 2).contiguous().float().div_(255)
        if read.changes.numel():
            images = recolour(images, read.changes.to(self._device, non_blocking=True))
        return images, [self._truth(boxes) for boxes in read.boxes()]

    def _truth(self, boxes: Boxes) -> dict[str, Tensor]:
        if not self._keep_ignored:
            boxes = boxes.chosen(~boxes.ignored)
        found = {"boxes": boxes.corners, "labels": boxes.labels}
        found |= {"ignored": boxes.ignored} if self._keep_ignored else {}
        return {name: tensor.to(self._device, non_blocking=True) for name, tensor in found.items()}


class _Read(NamedTuple):
    """The images of a batch that could be read, in a few tensors: each costs a worker its way.

    Attributes:
        pixels: (image, height, width, 3), bytes.
        changes: of the colours, (image, 3, 4); empty for none.
        corners, labels, ignored: of the boxes of all images, one image's after the other's.
        counts: how many boxes each image has.
        problems: what was wrong with each image that was asked for, if anything.

    """

    pixels: Tensor
    changes: Tensor
    corners: Tensor
    labels: Tensor
    ignored: Tensor
    counts: list[int]
    problems: list[Problem[str] | None]

    def boxes(self) -> list[Boxes]:
        """Return the boxes of each image."""
        parts = (part.split(self.counts) for part in (self.corners, self.labels, self.ignored))
        return [Boxes(*each) for each in zip(*parts, strict=True)]


def _together(items: list[_Item]) -> _Read:
    """Lay what was read for a batch together; images that could not be read are left out."""
    good = [item[:3] for item in items if item[3] is None]
    pixels, boxes, changes = zip(*good, strict=True) if good else ((), (), ())
    parts = [[getattr(each, part) for each in boxes] for part in ("corners", "labels", "ignored")]
    corners, labels, ignored = (torch.cat(part) if part else torch.empty(0) for part in parts)
    return _Read(
        torch.stack(pixels) if good else torch.empty(0),
        torch.stack(changes) if good else torch.empty(0),
        corners,
        labels,
        ignored,
        [len(each) for each in boxes],
        [problem for *_, problem in items],
    )


class _Examples(Dataset[_Item]):
    """What a worker needs, and no more, since it is sent to each."""

    def __init__(
        self,
        dataset: DetectionDataset,
        size: Size,
        fit: str,
        augment: BoxAugment | None,
        seed: int,
    ) -> None:
        self.pictures, self.truth = dataset.pictures, dataset.truth
        self.size, self.fit = size, fit
        self.augment, self.seed = augment, seed

    def __getitem__(self, key: tuple[int, int]) -> _Item:
        epoch, index = key
        try:
            pixels, boxes, change = self._made(epoch, index)
        except InputError as error:
            problem = (str(self.pictures[index]), str(error))
            return torch.zeros(0), self.truth[index], torch.zeros(0), problem
        return torch.from_numpy(pixels), boxes, change, None

    def _made(self, epoch: int, index: int) -> tuple[np.ndarray, Boxes, Tensor]:
        """Return pixels on the canvas, boxes, and the change of colours (empty for none)."""
        if self.augment is None:
            return *self._fitted(self._example(index)), torch.zeros(0)
        random = generator(self.seed, _AUGMENT, epoch, index)
        change = self.augment.colour(random)
        others = self.augment.companions(len(self.pictures), epoch, random)
        if others:
            four = [self._example(at) for at in (index, *others)]
            return *self.augment.mosaic_of(four, self.size, random), change
        return *self.augment.place(self._example(index), self.size, random), change

    def _example(self, index: int) -> Example:
        picture = self.pictures[index]
        pixels = np.asarray(read_image(picture)) if isinstance(picture, Path) else picture
        return pixels, self.truth[index]

    def _fitted(self, example: Example) -> Example:
        pixels, boxes = example
        size = (pixels.shape[0], pixels.shape[1])
        placement = (letterbox if self.fit == "letterbox" else stretch)(size, self.size)
        canvas = np.full((*self.size, 3), GREY, dtype=np.uint8)
        draw_on(canvas, pixels, placement)
        return canvas, place_boxes(boxes, size, placement, self.size)
