"""Batches of image files of any size, read and cropped by worker processes."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.core.shapes import Images, Labels
from regard.data.augment import Augment
from regard.data.batches import alternating_flip
from regard.data.image_file import image_to_tensor, read_image
from regard.data.image_folder import FolderDataset
from regard.data.reading import Problem, Reader, Unreadable, reading_workers
from regard.data.resized_crop import ResizedCrop, resize_central_square
from regard.data.steps import Steps

# Names of the random streams; 1 is the order's, 2 as in `Batches`.
_AUGMENT, _CROP = 2, 3


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
        self._steps = Steps(
            len(dataset),
            batch_size,
            seed=seed,
            shuffle=shuffle,
            drop_last=drop_last,
            rank=rank,
            ranks=ranks,
        )
        if image_size < 1:
            raise InputError(f"image_size={image_size}; give a number of pixels")
        self.batch_size = batch_size
        self.classes = dataset.classes
        self.samples = len(dataset)
        self.unreadable: Unreadable[Path] = Unreadable()
        self._labels = dataset.labels
        self._size = (image_size, image_size)
        self._augment = augment
        self._flip = alternating_flip(augment, self.samples, seed)
        self._seed = seed
        self._device = torch.device(device)
        self._read = Reader(
            _Files(dataset.files, image_size, crop, seed),
            reading_workers(workers, in_memory=False, device=self._device),
            collate=_collate,
            pinned=self._device.type == "cuda",
        )

    def __len__(self) -> int:
        """Return the number of steps an epoch."""
        return len(self._steps)

    def epoch(self, index: int, start_step: int = 0) -> Iterator[tuple[Images, Labels]]:
        """Yield the batches of epoch `index`, from step `start_step` on.

        Yields:
            images (batch, 3, image_size, image_size), float32 in [0, 1], and labels (batch,),
            int64. Several epochs at once from the same object are not possible.

        """
        steps, mine = self._steps(index, start_step), self._steps.mine
        read = self._read(index, [chosen[mine] for _, chosen in steps])
        for (step, chosen), (images, problems) in zip(steps, read, strict=True):
            kept = self.unreadable.readable(problems)
            images = images[kept].to(self._device, non_blocking=True)
            labels = self._labels[chosen[mine][kept]].to(self._device, non_blocking=True)
            if self._augment is not None:
                random = generator(self._seed, _AUGMENT, index, step)
                flipped = None if self._flip is None else self._flip(chosen, index)
                draws = self._augment.draw(len(chosen), self._size, random, flipped)
                images = self._augment.apply(images, draws[mine][kept])
            yield images.float().div_(255), labels


class _Files(Dataset[tuple[Tensor, Problem[Path] | None]]):
    """What a worker needs, and no more, since it is sent to each."""

    def __init__(
        self, files: tuple[Path, ...], side: int, crop: ResizedCrop | None, seed: int
    ) -> None:
        self.files, self.side, self.crop, self.seed = files, side, crop, seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Problem[Path] | None]:
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
    items: list[tuple[Tensor, Problem[Path] | None]],
) -> tuple[Tensor, list[Problem[Path] | None]]:
    images, problems = zip(*items, strict=True)
    return torch.stack(images), list(problems)
