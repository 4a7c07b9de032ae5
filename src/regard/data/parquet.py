"""Labelled images in parquet files, laid out as the Hugging Face hub does."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from regard.core.errors import InputError
from regard.data.cache import cached_dataset, content_key
from regard.data.dataset import ImageDataset
from regard.data.image_file import decode_image, image_to_tensor

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "labels")


def load_parquet(folder: str | Path, split: str) -> ImageDataset:
    """Load one split of equal-size images from a folder of parquet files, decoded and cached.

    The files are `SPLIT-*.parquet` or `SPLIT.parquet`, in the folder or below it. An image is a
    struct {bytes, path}; class names come from the schema's `huggingface` metadata.

    Raises:
        InputError: no such split, no image or label column, images of different sizes, or a
            damaged file or image.

    """
    folder = Path(folder)
    files = split_files(folder, split)
    name = f"{folder.name}/{split}"
    dataset = cached_dataset(content_key(files, "parquet"), lambda: _decode(files, name))
    return replace(dataset, name=name)  # the same files may have been cached from another folder


def parquet_files(folder: Path) -> list[Path]:
    """Return the parquet files in `folder` and its folders, in order."""
    return sorted([*folder.glob("*.parquet"), *folder.glob("*/*.parquet")])


def split_files(folder: Path, split: str) -> list[Path]:
    """Return the parquet files of `split` below `folder`, in order."""
    files = parquet_files(folder)
    chosen = [path for path in files if path.stem.split("-")[0] == split]
    if not chosen:
        splits = sorted({path.stem.split("-")[0] for path in files})
        found = f"splits there: {', '.join(splits)}" if splits else "no parquet files there"
        raise InputError(f"{folder} has no {split}-*.parquet; {found}")
    return chosen


def _decode(files: list[Path], name: str) -> ImageDataset:
    images, labels = [], []
    classes: tuple[str, ...] = ()
    for path in files:
        try:
            with pq.ParquetFile(path) as file:
                image, label = _columns(file.schema_arrow, path)
                classes = _class_names(file.schema_arrow, label)
                for data, index in _rows(file, image, label):
                    where = f"{path}, row {len(labels)}"
                    if data is None or index is None:
                        raise InputError(f"{where} lacks its image or label; remove the row")
                    images.append(image_to_tensor(decode_image(data, where)))
                    labels.append(index)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path} is not readable as parquet ({error}); get it again"
            ) from error
    if not labels:
        raise InputError(f"{files[0]} holds no rows; give a file with images")
    sizes = {tuple(image.shape[1:]) for image in images}
    if len(sizes) > 1:
        raise InputError(
            f"{name} has images of {len(sizes)} different sizes; "
            "unpack it into one folder a class, which is read at any size"
        )
    classes = classes or tuple(str(label) for label in range(max(labels) + 1))
    return ImageDataset(torch.stack(images), torch.tensor(labels), classes, name)


def _columns(schema: pa.Schema, path: Path) -> tuple[str, str]:
    """Return the names of the image and the label column."""
    found = []
    for wanted in (_IMAGE_COLUMNS, _LABEL_COLUMNS):
        known = [name for name in wanted if name in schema.names]
        if not known:
            columns = ", ".join(schema.names)
            raise InputError(f"{path} has no column {' or '.join(wanted)}; its columns: {columns}")
        found.append(known[0])
    return found[0], found[1]


def _rows(file: pq.ParquetFile, image: str, label: str) -> Iterator[tuple[bytes, int]]:
    for batch in file.iter_batches(batch_size=1000, columns=[image, label]):
        cells = batch.column(image)
        if pa.types.is_struct(cells.type):
            cells = cells.field("bytes")
        yield from zip(cells.to_pylist(), batch.column(label).to_pylist(), strict=True)


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...]:
    """Return the class names that the hub's metadata gives, or nothing."""
    metadata = (schema.metadata or {}).get(b"huggingface")
    if metadata is None:
        return ()
    features = json.loads(metadata).get("info", {}).get("features", {})
    return tuple(features.get(label, {}).get("names", ()))
