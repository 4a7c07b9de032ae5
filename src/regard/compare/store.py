"""The rows of a study in one SQLite file: one a finished run, one a reading of the test split.

Each row is a transaction of its own in a write-ahead log: a process that is killed loses the run
that it works on, and several processes can write side by side.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regard.compare.trial import Trial
from regard.core.errors import InputError
from regard.core.sqlite_file import SqliteFile

FILE = "study.sqlite"

RunKey = tuple[str, str, int, float]
"""Network, variant, seed, and learning rate tried (0 for none)."""

TestKey = tuple[str, str, int]
"""Network, variant and seed."""

_SCHEMA = """
PRAGMA journal_mode=WAL;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    model TEXT NOT NULL, variant TEXT NOT NULL, seed INTEGER NOT NULL, rate REAL NOT NULL,
    content TEXT NOT NULL, PRIMARY KEY (model, variant, seed, rate)
);
CREATE TABLE IF NOT EXISTS tests (
    model TEXT NOT NULL, variant TEXT NOT NULL, seed INTEGER NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (model, variant, seed)
);
"""


class Store(SqliteFile):
    """What a study has come to so far.

    Args:
        folder: the study's; made if needed.

    Raises:
        InputError: the folder cannot be written to, or its file is no study.

    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FILE, _SCHEMA)

    def fact(self, name: str) -> Any:
        """Return what is known by this name, or None."""
        with self.using():
            found = self.file.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def set_fact(self, name: str, value: Any) -> None:
        """Keep a JSON value under this name."""
        with self.using():
            self.file.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value))
            )

    def add_run(self, trial: Trial, content: dict[str, Any]) -> None:
        """Keep a finished run; when this returns it is on the disk."""
        with self.using():
            self.file.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)",
                (*trial.key, json.dumps(content)),
            )

    def run(self, trial: Trial) -> dict[str, Any] | None:
        """Return what a run came to, or None while it is not finished."""
        with self.using():
            found = self.file.execute(
                "SELECT content FROM runs WHERE (model, variant, seed, rate) = (?, ?, ?, ?)",
                trial.key,
            ).fetchone()
        return None if found is None else json.loads(found[0])

    def add_test(self, trial: Trial, content: dict[str, Any]) -> None:
        """Keep what a run reaches on the test split. What is there already stays as it is."""
        with self.using():
            self.file.execute(
                "INSERT OR IGNORE INTO tests VALUES (?, ?, ?, ?)",
                (*trial.key[:3], json.dumps(content)),
            )

    def test(self, trial: Trial) -> dict[str, Any] | None:
        """Return what a run reaches on the test split, or None before it was read."""
        with self.using():
            found = self.file.execute(
                "SELECT content FROM tests WHERE (model, variant, seed) = (?, ?, ?)", trial.key[:3]
            ).fetchone()
        return None if found is None else json.loads(found[0])

    def runs(self) -> dict[RunKey, dict[str, Any]]:
        """Return every finished run by network, variant, seed and rate tried (`Trial.key`)."""
        with self.using():
            found = self.file.execute("SELECT model, variant, seed, rate, content FROM runs")
            return {(*key, rate): json.loads(content) for *key, rate, content in found}

    def tests(self) -> dict[TestKey, dict[str, Any]]:
        """Return all that was read on the test split, by network, variant and seed."""
        with self.using():
            found = self.file.execute("SELECT model, variant, seed, content FROM tests")
            return {(*key, seed): json.loads(content) for *key, seed, content in found}

    def keep(self, runs: Mapping[RunKey, Any], tests: Mapping[TestKey, Any]) -> None:
        """Keep runs and readings made elsewhere. What is there already stays as it is."""
        for table, rows in (("runs", runs), ("tests", tests)):
            for key, content in rows.items():
                marks = ", ".join("?" * (len(key) + 1))
                with self.using():
                    self.file.execute(
                        f"INSERT OR IGNORE INTO {table} VALUES ({marks})",
                        (*key, json.dumps(content)),
                    )


def open_store(folder: Path) -> Store:
    """Open a study that exists.

    Raises:
        InputError: the folder holds none.

    """
    if not (folder / FILE).is_file():
        raise InputError(f"{folder} holds no study; give a folder that `regard compare` wrote")
    return Store(folder)
