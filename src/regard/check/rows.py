"""Rows of a table in a file: each is safe once it is measured, and nothing is measured twice."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regard.check.row import Row
from regard.core.errors import InputError
from regard.core.sqlite_file import SqliteFile

FILE = "rows.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS configuration (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    model TEXT NOT NULL, image TEXT NOT NULL, method TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (model, image, method)
);
"""


class Rows(SqliteFile):
    """The rows in a folder, in one SQLite file; each row is a transaction of its own.

    A process that is killed loses the row that it works on, and no other.

    Args:
        folder: made if needed.
        configuration: what decides the numbers, as JSON values. Rows of another one are refused.

    Raises:
        InputError: the folder cannot be written to, holds rows of another configuration, or a
            file that is none.

    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        super().__init__(folder, FILE, _SCHEMA)
        with self.closed_after_an_error():
            self._agree(configuration)

    def add(self, row: Row) -> None:
        """Keep a row; when this returns it is on the disk."""
        with self.using():
            self.file.execute(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", (*row.key, row.as_json())
            )

    def keys(self) -> set[tuple[str, str, str]]:
        """Return model, image and method of each row."""
        with self.using():
            return set(self.file.execute("SELECT model, image, method FROM rows"))

    def __iter__(self) -> Iterator[Row]:
        with self.using():
            found = self.file.execute("SELECT content FROM rows ORDER BY rowid").fetchall()
        return (Row.from_json(content) for (content,) in found)

    def _agree(self, configuration: Mapping[str, Any]) -> None:
        """Write the configuration into a new file, or refuse one that is another."""
        wanted = {name: json.dumps(value, sort_keys=True) for name, value in configuration.items()}
        with self.using():
            held = dict(self.file.execute("SELECT name, value FROM configuration"))
        if not held:
            with self.transaction(), self.using():
                self.file.executemany(
                    "INSERT OR REPLACE INTO configuration VALUES (?, ?)", wanted.items()
                )
            return
        for name in sorted(wanted.keys() | held.keys()):
            if wanted.get(name) != held.get(name):
                raise InputError(
                    f"{self.path} holds rows with {name} {held.get(name, 'none')}, and these are "
                    f"with {name} {wanted.get(name, 'none')}; choose another folder"
                )
