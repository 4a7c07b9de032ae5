"""From what the user wrote after `--data` to a data set."""

from collections.abc import Mapping
from pathlib import Path

from regard.core.errors import InputError, unknown_name
from regard.data import scenes
from regard.data.cifar10 import load_cifar10
from regard.data.dataset import ImageDataset
from regard.data.image_folder import FolderDataset
from regard.data.recognise import open_path

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
