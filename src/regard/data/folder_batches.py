"""Batches of image files of any size, read and cropped by worker processes."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.core.shapes import Images, Labels
from regard.data.augment import Augment
from regard.data.batches import alternating_flip, check_batch_size, steps_per_epoch
from regard.data.image_file import image_to_tensor, read_image
from regard.data.image_folder import FolderDataset
from regard.data.resized_crop import ResizedCrop, resize_central_square

# Names of the random streams; 1 and 2 as in `Batches`.
_ORDER, _AUGMENT, _CROP = 1, 2, 3


class FolderBatches:
    """The batches of image files, with the interface of `Batches`.

    An image depends on nothing but its file, `seed`, epoch and place in the set, whatever the
    number of workers. A file that cannot be read is left out of its batch, logged once, and kept
    in `unreadable`: a broken file found after hours must not end the training.

    Args:
        dataset: the image files.
        batch_size: images a step, over all ranks together.
        image_size: side of the square that images are brought to, in pixels.
        crop: the random crop, or None for the central square.
        augment: how to augment the whole batch on the device after that, or None.
        seed: the seed of order, crop and augmentation.
        device: where batches are handed out.
        shuffle: a new order each epoch.
        drop_last: leave out the last batch of an epoch where it is not full.
        workers: processes that read; 0 reads in this one; None takes one for each core, at most 8.
        rank, ranks: this process's number among the processes that train together.

    Attributes:
        unreadable: what was wrong, by file.

    Raises:
        InputError: as `Batches`; while reading, a batch without one readable image.

    """

    def __init__(
        self,
        dataset: FolderDataset,
        batch_size: int,
        *,
        image_size: int = 224,
        crop: ResizedCrop | None = None,
        augment: Augment | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        shuffle: bool = True,
        drop_last: bool = False,
        workers: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        check_batch_size(batch_size, len(dataset), drop_last=drop_last, rank=rank, ranks=ranks)
        if image_size < 1:
            raise InputError(f"image_size={image_size}; give a number of pixels")
        self.batch_size = batch_size
        self.classes = dataset.classes
        self.samples = len(dataset)
        self.unreadable: dict[Path, str] = {}
        self._labels = dataset.labels
        self._size = (image_size, image_size)
        self._augment = augment
        self._flip = alternating_flip(augment, self.samples, seed)
        self._seed = seed
        self._device = torch.device(device)
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._rank, self._ranks = rank, ranks
        self._plan = _Plan()
        workers = min(8, os.cpu_count() or 1) if workers is None else workers
        self._loader = DataLoader(
            _Files(dataset.files, image_size, crop, seed),
            batch_sampler=self._plan,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=self._device.type == "cuda",
            persistent_workers=workers > 0,
            # Otherwise it would draw from the global generator.
            generator=torch.Generator(),
        )

    def __len__(self) -> int:
        """Return the number of steps an epoch."""
        return steps_per_epoch(self.samples, self.batch_size, drop_last=self._drop_last)

    def epoch(self, index: int, start_step: int = 0) -> Iterator[tuple[Images, Labels]]:
        """Yield the batches of epoch `index`, from step `start_step` on.

        Yields:
            images (batch, 3, image_size, image_size), float32 in [0, 1], and labels (batch,),
            int64. Several epochs at once from the same object are not possible.

        """
        order = torch.arange(self.samples)
        if self._shuffle:
            order = torch.randperm(self.samples, generator=generator(self._seed, _ORDER, index))
        steps = range(start_step, len(self))
        whole = [order[step * self.batch_size : (step + 1) * self.batch_size] for step in steps]
        mine = slice(self._rank, None, self._ranks)
        self._plan.batches = [[(index, int(at)) for at in chosen[mine]] for chosen in whole]
        for step, chosen, (images, readable) in zip(steps, whole, self._loader, strict=True):
            kept = self._readable(readable, chosen[mine])
            images = images[kept].to(self._device, non_blocking=True)
            labels = self._labels[chosen[mine][kept]].to(self._device, non_blocking=True)
            if self._augment is not None:
                random = generator(self._seed, _AUGMENT, index, step)
                flipped = None if self._flip is None else self._flip(chosen, index)
                draws = self._augment.draw(len(chosen), self._size, random, flipped)
                images = self._augment.apply(images, draws[mine][kept])
            yield images.float().div_(255), labels

    def _readable(self, problems: list[tuple[Path, str] | None], chosen: Tensor) -> Tensor:
        """Report new unreadable files; return which of the batch are left: (batch,), bool."""
        for problem in problems:
            if problem is not None and problem[0] not in self.unreadable:
                path, message = problem
                self.unreadable[path] = message
                logging.getLogger("regard").warning("left out of training: %s", message)
        kept = torch.tensor([problem is None for problem in problems], dtype=torch.bool)
        if len(chosen) and not kept.any():
            raise InputError(f"no image of a whole batch can be read: {problems[0]}")
        return kept


class _Plan(Sampler[list[tuple[int, int]]]):
    """The (epoch, index) pairs of each batch to come; workers outlive the epochs."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Files(Dataset[tuple[Tensor | None, tuple[Path, str] | None]]):
    """What a worker needs, and no more, since it is sent to each."""

    def __init__(
        self, files: tuple[Path, ...], side: int, crop: ResizedCrop | None, seed: int
    ) -> None:
        self.files, self.side, self.crop, self.seed = files, side, crop, seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, tuple[Path, str] | None]:
        epoch, index = key
        try:
            image = read_image(self.files[index])
        except InputError as error:
            blank = torch.zeros(3, self.side, self.side, dtype=torch.uint8)
            return blank, (self.files[index], str(error))
        if self.crop is None:
            square = resize_central_square(image, self.side)
        else:
            square = self.crop(image, self.side, generator(self.seed, _CROP, epoch, index))
        return image_to_tensor(square), None


def _collate(
    items: list[tuple[Tensor, tuple[Path, str] | None]],
) -> tuple[Tensor, list[tuple[Path, str] | None]]:
    images, problems = zip(*items, strict=True)
    return torch.stack(images), list(problems)
