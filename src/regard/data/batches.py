"""Batches of a set that is in memory: every batch a pure function of (seed, epoch, step)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.core.shapes import Images, Labels
from regard.data.augment import AlternatingFlip, Augment
from regard.data.dataset import ImageDataset

# Names of the random streams, so that an epoch's order and its augmentation are unrelated.
_ORDER, _AUGMENT, _FLIP = 1, 2, 4


class Batches:
    """The batches of a set, made whole on the device.

    A batch depends on nothing but the set, `batch_size`, `seed`, epoch and step: training that
    resumes in the middle of an epoch sees the very batches it would have seen. Random numbers
    are drawn on the CPU, so the batches are also the same on every device, and with several
    `ranks` the ranks share out the same batches.

    Args:
        dataset: the images; copied to `device` once.
        batch_size: images a step, over all ranks together.
        augment: how to augment, or None.
        seed: the seed of the order and the augmentation.
        device: where the batches are made and handed out.
        shuffle: a new order each epoch.
        drop_last: leave out the last batch of an epoch where it is not full.
        rank, ranks: this process's number among the processes that train together.

    Raises:
        InputError: there would be no batch, or the ranks cannot share a batch equally.

    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        *,
        augment: Augment | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        check_batch_size(batch_size, len(dataset), drop_last=drop_last, rank=rank, ranks=ranks)
        self.batch_size = batch_size
        self.classes = dataset.classes
        self.samples = len(dataset)
        self._size = dataset.size
        self._images = dataset.images.to(device)
        self._labels = dataset.labels.to(device)
        self._augment = augment
        self._flip = alternating_flip(augment, self.samples, seed)
        self._seed = seed
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._rank, self._ranks = rank, ranks

    def __len__(self) -> int:
        """Return the number of steps an epoch."""
        return steps_per_epoch(self.samples, self.batch_size, drop_last=self._drop_last)

    def epoch(self, index: int, start_step: int = 0) -> Iterator[tuple[Images, Labels]]:
        """Yield the batches of epoch `index`, from step `start_step` on.

        Yields:
            images (batch, 3, height, width), float32 in [0, 1], and labels (batch,), int64.

        """
        order = self._order(index)
        flips = None if self._flip is None else self._flip(order.cpu(), index)
        for step in range(start_step, len(self)):
            begin = step * self.batch_size
            chosen = order[begin : begin + self.batch_size]
            mine = slice(self._rank, None, self._ranks)
            images = self._images[chosen[mine]]
            if self._augment is not None:
                random = generator(self._seed, _AUGMENT, index, step)
                flipped = None if flips is None else flips[begin : begin + self.batch_size]
                draws = self._augment.draw(len(chosen), self._size, random, flipped)
                images = self._augment.apply(images, draws[mine])
            yield images.float().div_(255), self._labels[chosen[mine]]

    def _order(self, epoch: int) -> Tensor:
        if not self._shuffle:
            return torch.arange(self.samples, device=self._labels.device)
        order = torch.randperm(self.samples, generator=generator(self._seed, _ORDER, epoch))
        return order.to(self._labels.device)


def alternating_flip(augment: Augment | None, samples: int, seed: int) -> AlternatingFlip | None:
    """Return the flips of a set's images where they alternate."""
    if augment is None or augment.flip != "alternating":
        return None
    return AlternatingFlip(samples, generator(seed, _FLIP))


def steps_per_epoch(samples: int, batch_size: int, *, drop_last: bool) -> int:
    """Return how many batches cover `samples` once."""
    return samples // batch_size if drop_last else math.ceil(samples / batch_size)


def check_batch_size(
    batch_size: int, samples: int, *, drop_last: bool, rank: int, ranks: int
) -> None:
    """Raise InputError unless these make at least one batch that the ranks share equally."""
    if batch_size < 1 or batch_size % ranks:
        raise InputError(
            f"batch_size={batch_size} with {ranks} processes; give a positive multiple of {ranks}"
        )
    if not 0 <= rank < ranks:
        raise InputError(f"rank={rank} with {ranks} processes; give 0 to {ranks - 1}")
    if drop_last and samples < batch_size:
        raise InputError(
            f"batch_size={batch_size}, but there are only {samples} images and an incomplete "
            "batch is dropped; give a smaller batch_size"
        )
