"""Which images each step of an epoch shows, and which of them are this process's."""

import math

import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.core.seeding import generator

_ORDER = 1
"""Names the random stream of the order, so that nothing else that is random goes with it."""


class Steps:
    """The steps of every epoch: a pure function of the seed and the epoch.

    Args:
        samples: how many images the set has.
        batch_size: images a step, over all ranks together.
        seed: of the order.
        shuffle: a new order each epoch.
        drop_last: leave out the last batch of an epoch where it is not full.
        rank, ranks: this process's number among the processes that train together.

    Attributes:
        mine: which images of a batch are this process's.

    Raises:
        InputError: there would be no batch, or the ranks cannot share a batch equally.

    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        *,
        seed: int,
        shuffle: bool,
        drop_last: bool,
        rank: int,
        ranks: int,
    ) -> None:
        if batch_size < 1 or batch_size % ranks:
            raise InputError(
                f"batch_size={batch_size} with {ranks} processes; give a positive multiple of "
                f"{ranks}"
            )
        if not 0 <= rank < ranks:
            raise InputError(f"rank={rank} with {ranks} processes; give 0 to {ranks - 1}")
        if drop_last and samples < batch_size:
            raise InputError(
                f"batch_size={batch_size}, but there are only {samples} images and an incomplete "
                "batch is dropped; give a smaller batch_size"
            )
        self.samples = samples
        self.batch_size = batch_size
        self.mine = slice(rank, None, ranks)
        self._seed = seed
        self._shuffle = shuffle
        self._drop_last = drop_last

    def __len__(self) -> int:
        """Return how many there are in an epoch."""
        if self._drop_last:
            return self.samples // self.batch_size
        return math.ceil(self.samples / self.batch_size)

    def __call__(self, epoch: int, start: int = 0) -> list[tuple[int, Tensor]]:
        """Return the steps of an epoch from `start` on: number, and the images of all ranks."""
        order = torch.arange(self.samples)
        if self._shuffle:
            order = torch.randperm(self.samples, generator=generator(self._seed, _ORDER, epoch))
        size = self.batch_size
        return [(step, order[step * size : (step + 1) * size]) for step in range(start, len(self))]
