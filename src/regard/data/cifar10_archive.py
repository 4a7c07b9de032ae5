"""CIFAR-10 as its authors publish it: pickled batches, packed in a tar file or unpacked.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import pickle
import tarfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regard.core.errors import InputError
from regard.data.cache import cached_dataset, content_key
from regard.data.dataset import ImageDataset

ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"

_META = "batches.meta"
_BATCHES = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles plain containers and numpy arrays, and nothing that could run code.

    A pickle may name any function to call on loading. Comparing the files with the published
    checksums would be as safe, but would refuse subsets and copies saved anew.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Allow what an array is rebuilt with; refuse the rest."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]


def load_cifar10_archive(path: str | Path, split: str) -> ImageDataset:
    """Load a split (`train` or `test`) from `cifar-10-python.tar.gz` or its unpacked folder.

    Nothing is unpacked to disk. The decoded set is cached.

    Raises:
        InputError: files are missing, damaged, or not what CIFAR-10 consists of.

    """
    path = Path(path)
    if split not in _BATCHES:
        raise InputError(f"CIFAR-10 has no split {split!r}; choose from: test, train")
    names = (*_BATCHES[split], _META)
    files = [path] if path.is_file() else [_member(path, name) for name in names]

    def build() -> ImageDataset:
        if path.is_file():
            content = _read_tar(path, names)
        else:
            content = {file.name: file.read_bytes() for file in files}
        return _assemble(content, split, path)

    return cached_dataset(content_key(files, "cifar10", split), build)


def _member(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise InputError(f"{folder} lacks {name}; unpack {ARCHIVE} again")
    return folder / name


def _read_tar(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the content of these members, wherever in the archive they lie."""
    content = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None and Path(member.name).name in names:
                    content[Path(member.name).name] = file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise InputError(f"{path} is damaged or cut short ({error}); download it again") from error
    missing = sorted(set(names) - set(content))
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; it should be {ARCHIVE}")
    return content


def _assemble(content: Mapping[str, bytes], split: str, path: Path) -> ImageDataset:
    batches = [_unpickle(content[name], path, name) for name in _BATCHES[split]]
    pixels = [_pixels(batch, path) for batch in batches]
    labels = [label for batch in batches for label in batch[b"labels"]]
    names = _unpickle(content[_META], path, _META)[b"label_names"]
    images = torch.from_numpy(np.concatenate(pixels)).view(-1, 3, 32, 32)
    classes = tuple(name.decode() for name in names)
    return ImageDataset(images, torch.tensor(labels), classes, f"cifar10/{split}")


def _pixels(batch: Mapping[bytes, Any], path: Path) -> np.ndarray:
    data = batch[b"data"]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
        raise InputError(f"{path}: a batch's data is not (n, 3072) bytes; it should be {ARCHIVE}")
    return data


def _unpickle(data: bytes, path: Path, name: str) -> Mapping[bytes, Any]:
    keys = {b"label_names"} if name == _META else {b"data", b"labels"}
    try:
        content = _ArrayUnpickler(BytesIO(data), encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"{path}: {name} cannot be trusted or read: {error}") from error
    if not isinstance(content, dict) or not keys <= set(content):
        raise InputError(f"{path}: {name} lacks {keys}; it should be that of {ARCHIVE}")
    return content
