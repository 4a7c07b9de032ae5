"""Tell from a path what kind of data set lies there, and open it."""

from pathlib import Path
from typing import Literal

from regard.core.errors import InputError
from regard.data.cifar10_archive import FOLDER, load_cifar10_archive
from regard.data.dataset import ImageDataset
from regard.data.image_folder import FolderDataset, class_folders, load_image_folder
from regard.data.parquet import load_parquet, parquet_files

Kind = Literal["cifar10 archive", "parquet", "image folder"]

_KNOWN = (
    "give cifar-10-python.tar.gz, its unpacked folder, a folder of parquet files, "
    "a folder with one folder of images a class, or a csv of path,label"
)


def recognise(path: str | Path) -> tuple[Kind, Path]:
    """Return the kind of the data set at `path`, and where exactly it lies.

    Raises:
        InputError: nothing is there, or nothing that is known.

    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist; {_KNOWN}")
    if path.is_file():
        if path.name.endswith((".tar.gz", ".tgz", ".tar")):
            return "cifar10 archive", path
        if path.suffix.lower() == ".csv":
            return "image folder", path
        raise InputError(f"{path} is no data set that is known; {_KNOWN}")
    for folder in (path, path / FOLDER):
        if (folder / "data_batch_1").is_file() or (folder / "test_batch").is_file():
            return "cifar10 archive", folder
    if parquet_files(path):
        return "parquet", path
    if class_folders(path):
        return "image folder", path
    raise InputError(f"{path} holds no data set that is known; {_KNOWN}")


def open_path(path: str | Path, split: str) -> ImageDataset | FolderDataset:
    """Open a split of the data set at `path`, whatever its kind.

    Raises:
        InputError: nothing known is there, or the split is missing or damaged.

    """
    kind, place = recognise(path)
    match kind:
        case "cifar10 archive":
            return load_cifar10_archive(place, split)
        case "parquet":
            return load_parquet(place, split)
        case "image folder":
            return load_image_folder(place, split)
