"""Your own images: one folder a class, or a csv that names files and labels."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch
from PIL import Image

from regard.core.errors import InputError, unknown_name
from regard.core.shapes import Labels
from regard.data.chosen import Indices, positions
from regard.data.dataset import ImageDataset
from regard.data.image_file import image_to_tensor, read_image
from regard.data.left_out import warn_left_out

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"),
        *("ppm", "pgm", "jp2", "avif", "ico"),
    )
)
"""Which files count as images."""

SPLIT_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""The folder names that stand for a split."""

_PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "img")
_LABEL_COLUMNS = ("label", "labels", "class", "category", "target")

IN_MEMORY_LIMIT = 1 << 30
"""Equal-size images that take less than this many bytes decoded are kept in memory."""


@dataclass(frozen=True, eq=False)
class FolderDataset:
    """Image files with a class each, read when they are needed.

    Attributes:
        files: the image files.
        labels: (n,), int64, indices into `classes`.
        classes: the names of the classes.
        name: what the set is called in reports.

    Raises:
        InputError: there are no files, or fewer than two classes.

    """

    files: tuple[Path, ...]
    labels: Labels
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if not self.files:
            raise InputError(f"{self.name} has no images; they end in {' '.join(sorted(SUFFIXES))}")
        if len(self.classes) < 2:
            raise InputError(
                f"{self.name} has one class only ({''.join(self.classes)}); "
                "to classify takes two or more, one folder each"
            )
        if self.labels.shape != (len(self.files),):
            raise InputError(f"{self.name}: {len(self.files)} files, {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that follow from the file names, sizes, labels and classes."""
        digest = sha256(repr(self.classes).encode())
        for path, label in zip(self.files, self.labels.tolist(), strict=True):
            size = path.stat().st_size if path.exists() else -1
            digest.update(repr((path.name, size, label)).encode())
        return digest.hexdigest()[:16]

    def subset(self, indices: Indices) -> "FolderDataset":
        """Return the set of these images, in this order; the classes stay all."""
        order = positions(indices, len(self), self.name)
        files = tuple(self.files[index] for index in order)
        return replace(self, files=files, labels=self.labels[order])


def load_image_folder(path: str | Path, split: str = "train") -> ImageDataset | FolderDataset:
    """Find the images of a split; keep them in memory if they are small and of equal size.

    Args:
        path: a folder with one folder a class, or with `train`, `val` and `test` folders that
            hold those; or a csv file with a path and a label in each row and perhaps a `split`.
        split: `train`, `val` or `test`; `all` where the source has no splits. Without splits,
            `train` is everything and there is no other.

    Raises:
        InputError: no images, an empty class folder, one class only, no such split, a csv
            without the needed columns, or no image that can be read.

    """
    path = Path(path)
    found = _from_csv(path, split) if path.suffix.lower() == ".csv" else _from_folder(path, split)
    return _in_memory(found) or found


def class_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, hidden ones left out, by name."""
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def split_folders(folder: Path) -> dict[str, Path]:
    """Return the folders in `folder` that stand for a split; empty without a train folder."""
    found = {
        split: folder / name
        for split, names in SPLIT_FOLDERS.items()
        for name in names
        if (folder / name).is_dir()
    }
    return found if "train" in found else {}


def is_image_name(file: Path) -> bool:
    """Return True if a file counts as an image, by its name."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _from_folder(folder: Path, split: str) -> FolderDataset:
    splits = split_folders(folder)
    _check_split(split, splits, folder)
    train = splits.get("train", folder)
    classes = tuple(entry.name for entry in class_folders(train))
    files: list[Path] = []
    labels: list[int] = []
    for entry in class_folders(splits.get(split, folder)):
        if entry.name not in classes:
            raise InputError(f"class folder {entry} has no counterpart in {train}; add or move it")
        images = sorted(file for file in entry.rglob("*") if is_image_name(file))
        if not images:
            raise InputError(f"class folder {entry} holds no images; add some or remove it")
        files += images
        labels += [classes.index(entry.name)] * len(images)
    return FolderDataset(
        tuple(files), torch.tensor(labels, dtype=torch.int64), classes, f"{folder.name}/{split}"
    )


def _from_csv(path: Path, split: str) -> FolderDataset:
    rows = _csv_rows(path)
    splits = {row["split"]: path for row in rows if row.get("split")}
    _check_split(split, splits, path)
    names = {row["label"] for row in rows}
    numbers = all(name.lstrip("-").isdigit() for name in names)
    classes = tuple(sorted(names, key=int) if numbers else sorted(names))
    chosen = [row for row in rows if not splits or row.get("split") == split]
    files = tuple(path.parent / row["path"] for row in chosen)
    labels = torch.tensor([classes.index(row["label"]) for row in chosen], dtype=torch.int64)
    return FolderDataset(files, labels, classes, f"{path.stem}/{split}")


def _csv_rows(path: Path) -> list[dict[str, str]]:
    """Return rows with the keys path, label and perhaps split; a header is recognised."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as csv: {error}") from error
    if not rows:
        raise InputError(f"{path} is empty; give rows of path,label")
    header = [cell.strip().lower() for cell in rows[0]]
    path_column = next((name for name in _PATH_COLUMNS if name in header), None)
    label_column = next((name for name in _LABEL_COLUMNS if name in header), None)
    if Path(rows[0][0]).suffix.lower() in SUFFIXES and len(header) >= 2:
        columns = {"path": 0, "label": 1} | ({"split": 2} if len(header) > 2 else {})
    elif path_column and label_column:
        columns = {"path": header.index(path_column), "label": header.index(label_column)}
        columns |= {"split": header.index("split")} if "split" in header else {}
        del rows[0]
    else:
        lacking = "label" if path_column else "path"
        raise InputError(
            f"{path} has no {lacking} column (columns: {', '.join(header)}); "
            "give it a header with path,label and perhaps split"
        )
    short = next((n for n, row in enumerate(rows, 1) if len(row) <= max(columns.values())), None)
    if short:
        raise InputError(f"{path}: data row {short} has too few columns; give {', '.join(columns)}")
    return [{key: row[at].strip() for key, at in columns.items()} for row in rows]


def _check_split(split: str, splits: Mapping[str, Path], source: Path) -> None:
    if splits and split not in splits:
        raise unknown_name(f"split of {source}", split, splits)
    if not splits and split not in ("train", "all"):
        raise InputError(
            f"{source} is not divided into splits, so it has no {split!r}; "
            "put the images into train/ and test/ folders, or a split column"
        )


def _in_memory(found: FolderDataset) -> ImageDataset | None:
    """Decode everything, if it is small and of one size; else return None."""
    first = next((size for size in map(_stored_size, found.files) if size), None)
    if first is None or len(found) * first[0] * first[1] * 3 > IN_MEMORY_LIMIT:
        return None
    if any(size not in (None, first) for size in map(_stored_size, found.files)):
        return None
    images, labels, unreadable = [], [], []
    for path, label in zip(found.files, found.labels.tolist(), strict=True):
        try:
            image = image_to_tensor(read_image(path))
        except InputError as error:
            unreadable.append(str(error))
            continue
        if images and image.shape != images[0].shape:
            return None  # turned by its EXIF mark
        images.append(image)
        labels.append(label)
    if not images:
        raise InputError(f"{found.name}: none of {len(found)} images can be read: {unreadable[0]}")
    warn_left_out(found.name, unreadable, len(found))
    return ImageDataset(torch.stack(images), torch.tensor(labels), found.classes, found.name)


def _stored_size(path: Path) -> tuple[int, int] | None:
    """Return (width, height) from the header, or None if that cannot be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
