"""Batches of a set that is in memory: every batch a pure function of (seed, epoch, step)."""

from collections.abc import Iterator

import torch

from regard.core.seeding import generator
from regard.core.shapes import Images, Labels
from regard.data.augment import AlternatingFlip, Augment
from regard.data.dataset import ImageDataset
from regard.data.steps import Steps

# Names of the random streams; 1 is the order's.
_AUGMENT, _FLIP = 2, 4


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
        self._steps = Steps(
            len(dataset),
            batch_size,
            seed=seed,
            shuffle=shuffle,
            drop_last=drop_last,
            rank=rank,
            ranks=ranks,
        )
        self.batch_size = batch_size
        self.classes = dataset.classes
        self.samples = len(dataset)
        self._size = dataset.size
        self._images = dataset.images.to(device)
        self._labels = dataset.labels.to(device)
        self._augment = augment
        self._flip = alternating_flip(augment, self.samples, seed)
        self._seed = seed

    def __len__(self) -> int:
        """Return the number of steps an epoch."""
        return len(self._steps)

    def epoch(self, index: int, start_step: int = 0) -> Iterator[tuple[Images, Labels]]:
        """Yield the batches of epoch `index`, from step `start_step` on.

        Yields:
            images (batch, 3, height, width), float32 in [0, 1], and labels (batch,), int64.

        """
        mine = self._steps.mine
        for step, chosen in self._steps(index, start_step):
            here = chosen[mine].to(self._labels.device, non_blocking=True)
            images = self._images[here]
            if self._augment is not None:
                random = generator(self._seed, _AUGMENT, index, step)
                flipped = None if self._flip is None else self._flip(chosen, index)
                draws = self._augment.draw(len(chosen), self._size, random, flipped)
                images = self._augment.apply(images, draws[mine])
            yield images.float().div_(255), self._labels[here]


def alternating_flip(augment: Augment | None, samples: int, seed: int) -> AlternatingFlip | None:
    """Return the flips of a set's images where they alternate."""
    if augment is None or augment.flip != "alternating":
        return None
    return AlternatingFlip(samples, generator(seed, _FLIP))
