"""Which picture files a user means by a list of files and folders."""

from collections.abc import Sequence
from pathlib import Path

from regard.core.errors import InputError
from regard.data.image_folder import SUFFIXES, is_image_name


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are named, and those in folders that end like pictures, sorted.

    Raises:
        InputError: a path does not exist, or a folder has no pictures.

    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; check the path")
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(filter(is_image_name, path.rglob("*")))
        if not inside:
            raise InputError(f"{path} has no pictures; they end in {' '.join(sorted(SUFFIXES))}")
        found += inside
    return list(dict.fromkeys(found))
