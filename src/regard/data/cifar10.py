"""CIFAR-10: 60,000 photographs of ten classes, 32×32.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from dataclasses import replace
from pathlib import Path

from regard.core.errors import InputError, unknown_name
from regard.data.cifar10_archive import ARCHIVE, load_cifar10_archive
from regard.data.dataset import ImageDataset
from regard.data.download import fetch
from regard.data.recognise import open_path

URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
CHECKSUM = "md5:c58f30108f718f92721af3b95e74349a"

_NO_NETWORK = (
    f"without a network, get {ARCHIVE} another way and give its path (or that of the unpacked "
    "folder, of parquet files, or of an image folder)"
)


def load_cifar10(path: str | Path | None = None, split: str = "train") -> ImageDataset:
    """Load 50,000 training or 10,000 test images, in memory.

    Args:
        path: the official archive, its unpacked folder, a folder of parquet files or an image
            folder; None downloads the archive (170 MB, once) to the user's cache folder.
        split: `train` or `test`.

    Raises:
        InputError: no network and no path, or what lies at the path is not CIFAR-10.

    """
    if split not in ("train", "test"):
        raise unknown_name("split of CIFAR-10", split, ("train", "test"))
    if path is None:
        return load_cifar10_archive(fetch(URL, CHECKSUM, otherwise=_NO_NETWORK), split)
    dataset = open_path(path, split)
    if not isinstance(dataset, ImageDataset):
        raise InputError(f"{path} has images of several sizes; CIFAR-10's are 32×32")
    if dataset.size != (32, 32) or len(dataset.classes) != 10:
        raise InputError(
            f"{path} has {len(dataset.classes)} classes of images of "
            f"{dataset.size[0]}×{dataset.size[1]}; CIFAR-10 has 10 of 32×32"
        )
    return replace(dataset, name=f"cifar10/{split}")
