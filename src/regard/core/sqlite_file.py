"""A folder's SQLite file: every statement is on the disk when it returns, every error one line."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from regard.core.errors import InputError
from regard.core.files import output_folder

Opened = TypeVar("Opened", bound="SqliteFile")


class SqliteFile:
    """An open file in a folder; a context manager that closes it.

    Args:
        folder: made if needed.
        name: of the file.
        schema: the statements that make its tables where they are not there yet.

    Raises:
        InputError: the folder cannot be written to, or the file is of another kind.

    """

    def __init__(self, folder: Path, name: str, schema: str) -> None:
        self.path = output_folder(folder) / name
        with self.using():
            self.file = sqlite3.connect(self.path, isolation_level=None, timeout=60)
        with self.closed_after_an_error(), self.using():
            self.file.executescript(schema)

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()

    @contextmanager
    def using(self) -> Iterator[None]:
        """Raise SQLite's errors as one line that says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(
                f"{self.path} cannot be used ({error}); choose another folder, or free space there"
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that is written inside whole or absent; other processes wait to write."""
        with self.using():
            self.file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.file.in_transaction:  # where the disk is full, SQLite has taken it back already
                self.file.execute("ROLLBACK")
            raise
        with self.using():
            self.file.execute("COMMIT")

    @contextmanager
    def closed_after_an_error(self) -> Iterator[None]:
        """Close the file where the block raises; what is opened in part is not left open."""
        try:
            yield
        except BaseException:
            self.file.close()
            raise
