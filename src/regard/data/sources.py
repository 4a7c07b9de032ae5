"""From what the user wrote after `--data` to a data set, and from that to batches."""

from collections.abc import Mapping
from pathlib import Path

import torch

from regard.core.errors import InputError, unknown_name
from regard.data import scenes
from regard.data.augment import Augment
from regard.data.batches import Batches
from regard.data.cifar10 import load_cifar10
from regard.data.dataset import ImageDataset
from regard.data.folder_batches import FolderBatches
from regard.data.image_folder import FolderDataset
from regard.data.recognise import open_path
from regard.data.resized_crop import ResizedCrop

SOURCES: Mapping[str, str] = {
    "scenes": "synthetic 32×32 scenes, ten classes, with the region that decides the label",
    "cifar10": "CIFAR-10, downloaded once (170 MB)",
    "PATH": "CIFAR-10 archive or folder, parquet folder, folder of image folders, or csv",
}
"""What `open_dataset` takes, and what it gives."""

# The number of scenes and the seed for each split.
_SCENES = {"train": (10_000, 1), "val": (2_000, 2), "test": (2_000, 3)}


def open_dataset(
    spec: str | Path | None = None, split: str = "train"
) -> ImageDataset | FolderDataset:
    """Open a split of a data set.

    Args:
        spec: `scenes` (also the default, None), `cifar10`, or a path, whose kind is recognised.
        split: `train`, `test` or, where there is one, `val`.

    Raises:
        InputError: no such data, or no such split.

    """
    if spec is None or spec == "scenes":
        if split not in _SCENES:
            raise unknown_name("split of the scenes", split, _SCENES)
        count, seed = _SCENES[split]
        return scenes.make(count, seed=seed).as_dataset(f"scenes/{split}")
    if spec == "cifar10":
        return load_cifar10(split=split)
    if isinstance(spec, str) and spec.isidentifier() and not Path(spec).exists():
        raise InputError(f"{unknown_name('data', spec, ('scenes', 'cifar10'))}, or give a path")
    return open_path(spec, split)


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
        augment=augment,
        seed=seed,
        device=device,
        shuffle=train,
        drop_last=drop_last,
        workers=workers,
        rank=rank,
        ranks=ranks,
    )
