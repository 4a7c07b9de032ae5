"""What training reads from files: by worker processes, and past those that are broken."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from regard.core.errors import InputError

Name = TypeVar("Name")
Problem = tuple[Name, str]
"""What could not be read, and why."""


def reading_workers(asked: int | None, *, in_memory: bool, device: torch.device) -> int:
    """Return how many processes are to read.

    What is in memory needs but to be augmented: on a CPU, whose cores the network keeps busy, that
    is done quickest by the process that trains.

    Args:
        asked: what the user said; None for what is best: one for each core, at most 8, or none.
        in_memory: whether there is nothing to read but what is in memory.
        device: where the network runs.

    """
    if asked is not None:
        return asked
    return 0 if in_memory and device.type == "cpu" else min(8, os.cpu_count() or 1)


class Reader:
    """Reads the images of each step in its order, by processes that outlive the epochs.

    Args:
        items: what reads one, given (epoch, index); sent to each process.
        workers: how many processes; 0 reads in this one.
        collate: makes one value of what was read for a step.
        pinned: whether it is then copied to a GPU.

    """

    def __init__(
        self,
        items: Dataset[Any],
        workers: int,
        *,
        collate: Callable[[list[Any]], Any] = list,
        pinned: bool = False,
    ) -> None:
        self._plan = _Plan()
        self.loader = DataLoader(
            items,
            batch_sampler=self._plan,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=pinned,
            persistent_workers=workers > 0,
            # Otherwise it would draw from the global generator.
            generator=torch.Generator(),
        )

    def __call__(self, epoch: int, steps: Sequence[Tensor]) -> Iterator[Any]:
        """Yield what was read for each step; one epoch at a time.

        Args:
            epoch: its number.
            steps: the indices of each step's images, (image,).

        """
        self._plan.batches = [[(epoch, int(index)) for index in chosen] for chosen in steps]
        return iter(self.loader)


class Unreadable(dict[Name, str], Generic[Name]):
    """What was wrong, by what could not be read: a broken file must not end the training."""

    def readable(self, problems: Sequence[Problem[Name] | None]) -> Bool[Tensor, " image"]:
        """Note the problems of a batch, each in the log once; return which images have none.

        Raises:
            InputError: all of them have one.

        """
        for problem in problems:
            if problem is not None and problem[0] not in self:
                self[problem[0]] = problem[1]
                logging.getLogger("regard").warning("left out: %s", problem[1])
        kept = torch.tensor([problem is None for problem in problems], dtype=torch.bool)
        first = problems[0] if problems else None
        if first is not None and not kept.any():
            raise InputError(f"no image of a whole batch can be used: {first[1]}")
        return kept


class _Plan(Sampler[list[tuple[int, int]]]):
    """The (epoch, index) pairs of each batch to come; processes outlive the epochs."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
