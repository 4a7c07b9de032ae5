"""What `regard list` prints can be read at any width: names whole, lines no longer than it."""

import io

import pytest
from rich.console import Console

from regard.cli.listing import _LISTS
from regard.cli.rows import rows_on


def printed(rows, width):
    console = Console(width=width, file=io.StringIO(), highlight=False, soft_wrap=True)
    for part in rows_on(console, rows):
        console.print(part)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("what", list(_LISTS))
def test_every_list_has_whole_names_at_any_width(what, width):
    rows = _LISTS[what]()
    lines = printed(rows, width)
    assert max(len(line) for line in lines) <= width
    # Nothing but a row's name, or the table's head, begins a line.
    begins = [line.partition("  ")[0] for line in lines if line and line[0] != " "]
    assert [name for name in begins if name != "name"] == [row["name"] for row in rows]


def test_a_list_that_fits_is_a_table():
    rows = [{"name": "one", "what": "the first of two"}, {"name": "three", "what": None}]
    assert printed(rows, 23) == ["name   what", "one    the first of two", "three"]
    assert printed(rows, 22) == ["one", "  what  the first of", "        two", "three"]


def test_words_are_never_cut():
    rows = [{"name": "a" * 30, "kind": "b" * 30}]
    assert printed(rows, 20) == [
        "a" * 30,
        "  kind  " + "b" * 12,
        " " * 8 + "b" * 12,
        " " * 8 + "b" * 6,
    ]
