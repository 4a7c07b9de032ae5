"""Files that are whole or absent: written under a temporary name, then renamed."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from regard.core.errors import InputError

_REASONS = {
    errno.ENOSPC: "no space is left on the device; free some, or choose another place",
    errno.EDQUOT: "the disk quota is used up; free some, or choose another place",
    errno.EACCES: "permission denied; choose a place you may write to",
    errno.EPERM: "permission denied; choose a place you may write to",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another place",
    errno.EEXIST: "a file is in the way; choose another place",
    errno.EISDIR: "a folder is in the way; choose another name",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the ways in which writing to `path` fails for the user's reasons into an InputError."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0)
        if reason is None:
            raise
        raise InputError(f"cannot write {path}: {reason}") from error


def output_folder(path: str | os.PathLike[str]) -> Path:
    """Return `path` as an existing folder that can be written to, making it if needed.

    Raises:
        InputError: it is a file, or cannot be made or written to.

    """
    folder = Path(path)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    return folder


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed.

    After an exception the temporary file is removed and an older `path` is as it was. A process
    killed half-way leaves the older `path` too.

    Raises:
        InputError: the place cannot be written to, or the disk is full.

    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _make_readable_like_any_file(temporary)
            _flush(temporary)
            temporary.replace(path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file (UTF-8), whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a binary file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def _make_readable_like_any_file(path: Path) -> None:
    """Give the file the mode that `open` would have given it; mkstemp makes it private."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def _flush(path: Path) -> None:
    """Wait until the content is on the disk, so that the rename can't get there first."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
