"""Downloads that are checked, kept, and taken up again where they broke off."""

import os
import shutil
from http.client import HTTPException
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pooch
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from regard.core.errors import InputError
from regard.data.cache import cache_folder

_CHUNK = 1 << 18
_TIMEOUT = 30  # seconds without a byte


def fetch(url: str, known_hash: str, *, otherwise: str) -> Path:
    """Return a file from the cache folder, downloaded first if it is not there.

    An interrupted download leaves `NAME.part` there, and the next call goes on from its end.

    Args:
        url: where it comes from.
        known_hash: `md5:…` or `sha256:…`; anything else that arrives is thrown away.
        otherwise: what to do without a network, for the error message.

    Raises:
        InputError: no network, no such file, a wrong checksum, or no room for it.

    """
    name = url.rsplit("/", 1)[-1]
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = pooch.retrieve(
            url,
            known_hash,
            fname=name,
            path=folder,
            downloader=cast("Any", _Resuming(folder / f"{name}.part")),  # pooch's stub is wrong
        )
    except (OSError, HTTPException) as error:
        raise InputError(
            f"{url} could not be downloaded to {folder} ({error}); {otherwise}"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{url} did not have the checksum {known_hash} and was thrown away; {otherwise}"
        ) from error
    return Path(kept)


class _Resuming:
    """A downloader for pooch that keeps what has arrived in `part` and asks only for the rest."""

    def __init__(self, part: Path) -> None:
        self._part = part

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Download `url` and move it to `output_file`, the temporary file that pooch checks."""
        try:
            self._receive(url)
        except HTTPError as error:
            # 416: nothing is left to send, or the part belongs to another file.
            # Either way the checksum decides.
            if error.code != 416 or not self._part.exists():
                raise
        shutil.move(self._part, os.fspath(output_file))

    def _receive(self, url: str) -> None:
        have = self._part.stat().st_size if self._part.exists() else 0
        request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        with urlopen(request, timeout=_TIMEOUT) as answer:
            resumed = answer.status == 206
            have = have if resumed else 0
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else None
            with self._part.open("ab" if resumed else "wb") as file:
                _copy(answer, file, self._part.stem, have, total)
        if total is not None and self._part.stat().st_size < total:
            raise OSError("the connection broke; run it again to go on from there")


def _copy(
    source: BufferedIOBase, target: BufferedIOBase, name: str, done: int, total: int | None
) -> None:
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, completed=done, total=total)
        while chunk := source.read(_CHUNK):
            target.write(chunk)
            progress.advance(task, len(chunk))
