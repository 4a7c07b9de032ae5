"""Batches of images and masks: every one a pure function of (seed, epoch, step)."""

import logging
from collections.abc import Iterator

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.core.shapes import Images
from regard.data.reading import Problem, Reader, Unreadable, reading_workers
from regard.data.segmentation_augment import SegmentationAugment, cut_out, whole
from regard.data.segmentation_dataset import MemoryPairs, SegmentationDataset
from regard.data.steps import Steps

# Names of the random streams; 1 is the order's.
_COLOUR, _WINDOW = 2, 3

Truth = Int64[Tensor, "batch height width"]
Read = tuple[Tensor, Tensor, Problem[str] | None]


class SegmentationBatches:
    """The batches of a segmentation set, all images brought to one size.

    An image depends on nothing but its pair, `seed`, epoch and place in the set, whatever the
    number of workers. A pair that cannot be read is left out of its batch, logged once, and kept
    in `unreadable`.

    Args:
        dataset: images and masks.
        batch_size: images a step, over all ranks together.
        size: (height, width) in pixels; without a random window the whole image is brought to it.
        crop: (height, width) of a part of the image at `size`, which is what a batch then shows;
            None shows the whole. It takes an augmentation, which draws where the part lies.
        augment: how to augment, or None.
        seed: the seed of order, windows and colours.
        device: where batches are handed out.
        shuffle: a new order each epoch.
        drop_last: leave out the last batch of an epoch where it is not full.
        workers: processes that read; 0 reads in this one; None as `reading.reading_workers` says.
        rank, ranks: this process's number among the processes that train together.

    Attributes:
        unreadable: what was wrong, by the pair's title.

    Raises:
        InputError: as `Batches`; while reading, a batch without one readable pair.

    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        batch_size: int,
        *,
        size: tuple[int, int],
        crop: tuple[int, int] | None = None,
        augment: SegmentationAugment | None = None,
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
        if min(size) < 1:
            raise InputError(f"size={size}; give (height, width) in pixels")
        if crop is not None and not (0 < crop[0] <= size[0] and 0 < crop[1] <= size[1]):
            raise InputError(f"crop={crop} is no part of images of {size[0]}×{size[1]} pixels")
        if crop is not None and augment is None:
            raise InputError(f"crop={crop} needs an augmentation, which draws where the part lies")
        self.batch_size = batch_size
        self.classes = dataset.classes
        self.samples = len(dataset)
        self.unreadable: Unreadable[str] = Unreadable()
        self._augment, self._seed = augment, seed
        self._device = torch.device(device)
        in_memory = isinstance(dataset.pairs, MemoryPairs)
        workers = reading_workers(workers, in_memory=in_memory, device=self._device)
        pairs = _Pairs(dataset, size, crop or size, augment, seed)
        self._read = Reader(pairs, workers, pinned=self._device.type == "cuda")

    def __len__(self) -> int:
        """Return the number of steps an epoch."""
        return len(self._steps)

    def epoch(self, index: int, start_step: int = 0) -> Iterator[tuple[Images, Truth]]:
        """Yield the batches of epoch `index`, from step `start_step` on.

        Yields:
            images (batch, 3, height, width), float32 in [0, 1], and classes (batch, height,
            width), int64, 255 where there is none. Several epochs at once from the same object are
            not possible.

        """
        steps, mine = self._steps(index, start_step), self._steps.mine
        read = self._read(index, [chosen[mine] for _, chosen in steps])
        for (step, chosen), pairs in zip(steps, read, strict=True):
            kept = self.unreadable.readable([problem for *_, problem in pairs])
            images = torch.stack([image for image, _, problem in pairs if problem is None])
            masks = torch.stack([mask for _, mask, problem in pairs if problem is None])
            images = images.to(self._device, non_blocking=True).float().div_(255)
            if self._augment is not None:
                random = generator(self._seed, _COLOUR, index, step)
                draws = torch.rand(len(chosen), 3, generator=random)[mine][kept]
                images = self._augment.colour(images, draws)
            yield images, masks.to(self._device, non_blocking=True).long()


def whole_images(
    dataset: SegmentationDataset, batch_size: int, size: tuple[int, int]
) -> Iterator[tuple[Images, list[Tensor], list[Tensor], list[str]]]:
    """Yield every image once, in order, to be measured at its own size.

    Pairs that cannot be read are left out, each with a line in the log.

    Yields:
        images (batch, 3, height, width), float32 in [0, 1], brought to `size`; the pictures (3,
        own height, own width) and masks (own height, own width) as they are, uint8; and titles.

    """
    kept: list[tuple[Tensor, Tensor, Tensor, str]] = []
    for index in range(len(dataset)):
        try:
            picture, mask = dataset.pairs.read(index)
        except InputError as error:
            logging.getLogger("regard").warning("left out: %s", error)
            continue
        own = (mask.shape[0], mask.shape[1])
        image, _ = cut_out(picture, mask, whole(own), size)
        kept.append((image, picture, mask, dataset.pairs.title(index)))
        if len(kept) == batch_size:
            yield _as_batch(kept)
            kept = []
    if kept:
        yield _as_batch(kept)


def _as_batch(
    kept: list[tuple[Tensor, Tensor, Tensor, str]],
) -> tuple[Images, list[Tensor], list[Tensor], list[str]]:
    images, pictures, masks, titles = (list(each) for each in zip(*kept, strict=True))
    return torch.stack(images).float().div_(255), pictures, masks, titles


class _Pairs(Dataset[Read]):
    """What a worker needs: the pairs, and how to bring one to the size."""

    def __init__(
        self,
        dataset: SegmentationDataset,
        size: tuple[int, int],
        crop: tuple[int, int],
        augment: SegmentationAugment | None,
        seed: int,
    ) -> None:
        self.dataset, self.size, self.augment, self.seed = dataset, crop, augment, seed
        self.part = (crop[0] / size[0], crop[1] / size[1])

    def __getitem__(self, key: tuple[int, int]) -> Read:
        epoch, index = key
        try:
            image, mask = self.dataset.pairs.read(index)
        except InputError as error:
            return torch.empty(0), torch.empty(0), (self.dataset.pairs.title(index), str(error))
        own = (mask.shape[0], mask.shape[1])
        window, mirrored = whole(own), False
        if self.augment is not None:
            random = generator(self.seed, _WINDOW, epoch, index)
            window, mirrored = self.augment.window(own, random, self.part)
        return *cut_out(image, mask, window, self.size, mirrored=mirrored), None
