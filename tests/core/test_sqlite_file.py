"""A transaction is whole or absent, and what could not be opened is not left open."""

import sqlite3

import pytest

from regard.core.errors import InputError
from regard.core.sqlite_file import SqliteFile

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY);"


def numbers(opened):
    return [number for (number,) in opened.file.execute("SELECT number FROM numbers")]


def fail_after(opened, statement):
    with opened.transaction():
        opened.file.execute(statement)
        raise KeyError


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    with SqliteFile(tmp_path, "a.sqlite", SCHEMA) as opened:
        opened.file.execute("INSERT INTO numbers VALUES (1)")
        with pytest.raises(KeyError):
            fail_after(opened, "INSERT INTO numbers VALUES (2)")
        assert numbers(opened) == [1]
        with opened.transaction():
            opened.file.execute("INSERT INTO numbers VALUES (3)")
        assert numbers(opened) == [1, 3]


def test_an_error_of_sqlite_is_one_line(tmp_path):
    with (
        SqliteFile(tmp_path, "a.sqlite", SCHEMA) as opened,
        pytest.raises(InputError, match=r"a\.sqlite cannot be used .*; choose another folder"),
        opened.using(),
    ):
        opened.file.execute("SELECT * FROM letters")


def test_a_file_of_another_kind_is_refused_and_not_left_open(tmp_path):
    (tmp_path / "a.sqlite").write_text("no tables" * 100)
    made = []

    class Noted(SqliteFile):
        def __init__(self):
            made.append(self)
            super().__init__(tmp_path, "a.sqlite", SCHEMA)

    with pytest.raises(InputError, match="cannot be used"):
        Noted()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        made[0].file.execute("SELECT 1")
