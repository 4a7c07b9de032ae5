"""The batches of a set, whether it is in memory or on the disk."""

from dataclasses import replace

import torch

from regard.data.augment import Augment
from regard.data.batches import Batches
from regard.data.dataset import ImageDataset
from regard.data.folder_batches import FolderBatches
from regard.data.image_folder import FolderDataset
from regard.data.resized_crop import ResizedCrop


def make_batches(
    dataset: ImageDataset | FolderDataset,
    batch_size: int,
    *,
    train: bool,
    augment: Augment | None = None,
    image_size: int = 224,
    seed: int = 0,
    device: torch.device | str = "cpu",
    workers: int | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> Batches | FolderBatches:
    """Return the batches of either kind of data set, for training or for evaluation.

    Args:
        dataset: what `open_dataset` returned.
        batch_size: images a step, over all ranks together.
        train: True shuffles, drops the last incomplete batch, and crops files at random; False
            takes every image once, in order.
        augment: how to augment the batches on the device, or None.
        image_size: the side that image files are brought to; a set in memory has its size.
        seed: the seed of everything random.
        device: where the batches are handed out.
        workers: processes that read image files; a set in memory needs none.
        rank: this process's number among those that train together.
        ranks: how many train together.

    Raises:
        InputError: there would be no batch, or the ranks cannot share a batch equally.

    """
    drop_last = train and len(dataset) >= batch_size
    if isinstance(dataset, ImageDataset):
        return Batches(
            dataset,
            batch_size,
            augment=augment,
            seed=seed,
            device=device,
            shuffle=train,
            drop_last=drop_last,
            rank=rank,
            ranks=ranks,
        )
    return FolderBatches(
        dataset,
        batch_size,
        image_size=image_size,
        crop=ResizedCrop() if train else None,
        # The random crop has moved the image about already.
        augment=replace(augment, crop_padding=0) if augment else None,
        seed=seed,
        device=device,
        shuffle=train,
        drop_last=drop_last,
        workers=workers,
        rank=rank,
        ranks=ranks,
    )
