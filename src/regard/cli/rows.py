"""Rows of named values on a terminal: a table where it is wide enough, else one below the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

Rows = Sequence[Mapping[str, str]]

# A column of words can be read from this width on. Single words are never broken.
_NARROWEST = 16
_GAP = 2


def rows_on(console: Console, rows: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Yield what to print of rows: one table, or a name and what belongs to it for each row.

    Args:
        console: whose width decides.
        rows: all with the same keys, of which the first is the row's name; None shows as nothing.

    """
    words = [
        {key: "" if value is None else str(value) for key, value in row.items()} for row in rows
    ]
    if _needed(words) <= console.width:
        yield _table(words)
        return
    for row in words:
        yield from _one(row)


def _table(rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in rows[0]:
        table.add_column(column, no_wrap=not _has_several_words(column, rows))
    for row in rows:
        table.add_row(*row.values())
    return table


def _one(row: Mapping[str, str]) -> Iterator[RenderableType]:
    (_, name), *others = row.items()
    yield name
    below = Table.grid(padding=(0, _GAP, 0, 0))
    below.add_column(no_wrap=True)
    below.add_column(overflow="fold")
    for key, value in others:
        if value:
            below.add_row(f"  {key}", value)
    yield below


def _needed(rows: Rows) -> int:
    """Return the width from which a table can be read."""
    widths = [
        min(width, _NARROWEST) if _has_several_words(column, rows) else width
        for column in rows[0]
        for width in [max(len(column), *(len(row[column]) for row in rows))]
    ]
    return sum(widths) + _GAP * (len(widths) - 1)


def _has_several_words(column: str, rows: Rows) -> bool:
    return any(" " in cell for cell in (column, *(row[column] for row in rows)))
