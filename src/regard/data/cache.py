"""The user's cache folder, and decoded data sets kept there.

Decoding 60,000 JPEG files takes seconds on every start; reading the decoded bytes takes a
fraction of one.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable
from hashlib import file_digest, sha256
from pathlib import Path

import pooch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from regard.core.errors import InputError
from regard.core.files import atomic_write
from regard.data.dataset import ImageDataset

# Part of every key: raise it when decoding changes, so that old entries are not used.
_VERSION = 1


def cache_folder() -> Path:
    """Return the folder for downloads and decoded data: `$REGARD_CACHE`, or the user's cache."""
    return Path(os.environ.get("REGARD_CACHE") or pooch.os_cache("regard"))


def content_key(files: Iterable[Path], *parts: str) -> str:
    """Return 32 hexadecimal digits that change when a file's content or one of `parts` does."""
    digest = sha256(repr((_VERSION, parts)).encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def cached_dataset(key: str, build: Callable[[], ImageDataset]) -> ImageDataset:
    """Return the set kept under `key`, or build and keep it.

    A damaged entry is built again. That nothing could be kept (no space, no permission) is
    logged and costs only time.
    """
    path = cache_folder() / "decoded" / f"{key}.safetensors"
    kept = _load(path)
    if kept is not None:
        return kept
    dataset = build()
    try:
        _save(dataset, path)
    except (InputError, OSError, SafetensorError) as error:
        logging.getLogger("regard").warning(
            "%s could not be cached in %s (%s); it will be decoded again next time",
            dataset.name,
            path.parent,
            error,
        )
    return dataset


def _load(path: Path) -> ImageDataset | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads(file.metadata()["dataset"])
            dataset = ImageDataset(
                file.get_tensor("images"),
                file.get_tensor("labels"),
                tuple(description["classes"]),
                description["name"],
            )
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, InputError):
        return None
    return dataset if dataset.fingerprint == description.get("fingerprint") else None


def _save(dataset: ImageDataset, path: Path) -> None:
    description = {
        "name": dataset.name,
        "classes": dataset.classes,
        "fingerprint": dataset.fingerprint,
    }
    with atomic_write(path) as unfinished:
        save_file(
            {"images": dataset.images.contiguous(), "labels": dataset.labels.contiguous()},
            unfinished,
            metadata={"dataset": json.dumps(description)},
        )
