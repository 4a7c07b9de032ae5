"""Batches of a set, whether it is in memory or on the disk."""

import torch

from regard.core.errors import InputError
from regard.data.augment import Augment
from regard.data.batches import Batches
from regard.data.dataset import ImageDataset
from regard.data.folder_batches import FolderBatches
from regard.data.image_folder import FolderDataset
from regard.data.resized_crop import ResizedCrop


def image_batches(
    dataset: ImageDataset | FolderDataset,
    batch_size: int,
    *,
    image_size: int,
    augment: Augment | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    shuffle: bool = False,
    workers: int | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> Batches | FolderBatches:
    """Make the batches that fit the set: whole from memory, or streamed from files.

    Args:
        dataset: the images.
        batch_size: images a step, over all ranks together.
        image_size: side of the square the network wants, in pixels. Images in memory must have
            it; files are brought to it (with a random resized crop where `augment` is given).
        augment: how to augment, or None.
        seed: the seed of order and augmentation.
        device: where batches are handed out.
        shuffle: a new order each epoch.
        workers: processes that read files; None takes one for each core, at most 8.
        rank, ranks: this process's number among the processes that train together.

    Raises:
        InputError: images in memory have another size.

    """
    if isinstance(dataset, FolderDataset):
        return FolderBatches(
            dataset,
            batch_size,
            image_size=image_size,
            # A random crop already moves the image about; what is left of `augment` is the flip.
            crop=ResizedCrop() if augment else None,
            augment=Augment(crop_padding=0, flip=augment.flip, cutout=augment.cutout)
            if augment
            else None,
            seed=seed,
            device=device,
            shuffle=shuffle,
            workers=workers,
            rank=rank,
            ranks=ranks,
        )
    if dataset.size != (image_size, image_size):
        raise InputError(
            f"{dataset.name} has images of {dataset.size[0]}×{dataset.size[1]} pixels and the "
            f"model takes {image_size}×{image_size}; give --size {dataset.size[0]} or other data"
        )
    return Batches(
        dataset,
        batch_size,
        augment=augment,
        seed=seed,
        device=device,
        shuffle=shuffle,
        rank=rank,
        ranks=ranks,
    )
