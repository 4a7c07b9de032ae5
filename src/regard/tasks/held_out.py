"""Which images are trained on, and which are measured after each epoch."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from regard.core.errors import InputError
from regard.core.seeding import generator

_SPLIT_SEED = 0x5EED
"""Seeds the choice of the validation images: the same ones for every run's seed."""


@runtime_checkable
class Divisible(Protocol):
    """A data set of any task."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def subset(self, indices: Any) -> Any:
        """Return the set of these images."""
        ...


Images = TypeVar("Images", bound=Divisible)


def training_images(
    open_split: Callable[[str], Images], validation: float
) -> tuple[Images, Images | None]:
    """Return the images to train on and those to measure after each epoch.

    Args:
        open_split: opens a split of the data by its name.
        validation: the share of the training images to hold out; with 0, data that has a `val`
            split of its own is measured on that.

    Raises:
        InputError: no such data, or a share that leaves no image on one side.

    """
    training = open_split("train")
    if not validation:
        try:
            return training, open_split("val")
        except InputError:
            # The data has no such split, and the user asked for none.
            return training, None
    order = torch.randperm(len(training), generator=generator(_SPLIT_SEED))
    held = round(len(training) * validation)
    if not 0 < held < len(training):
        raise InputError(
            f"validation={validation} of {len(training)} images leaves none to "
            f"{'hold out' if held == 0 else 'train on'}"
        )
    return training.subset(order[held:]), training.subset(order[:held])
