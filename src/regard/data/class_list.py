"""The classes of a segmentation set, as users write them down: one a line, perhaps with colours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.core.errors import InputError

Colour = tuple[int, int, int]

FILES = (
    *("classes.txt", "classes.csv", "class_dict.csv", "labels.txt", "label_colors.txt"),
    *("labelmap.txt", "codes.txt", "palette.txt"),
)
"""What the file of classes may be called."""

VOID_NAMES = frozenset({"void", "ignore", "ignored", "unlabeled", "unlabelled", "undefined"})
"""Class names that stand for pixels without a class."""

_SEPARATORS = re.compile(r"[\s,;:]+")
_ACCEPTED = "write NAME, INDEX NAME, NAME R G B, R G B NAME or INDEX NAME R G B"


@dataclass(frozen=True)
class ClassList:
    """Classes in the order of their indices, and how masks write them.

    Attributes:
        names: every class, the void ones left out.
        values: for each name, the value of its pixels in an indexed mask.
        colours: for each name, its colour in a coloured mask; None where the file names none.
        void_values: the values of pixels without a class.
        void_colours: the colours of pixels without a class.

    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    colours: tuple[Colour, ...] | None = None
    void_values: tuple[int, ...] = ()
    void_colours: tuple[Colour, ...] = ()


def find_class_list(folders: Sequence[Path]) -> ClassList | None:
    """Read the file of classes in the first folder that has one; None without any.

    Raises:
        InputError: the file cannot be read as one.

    """
    for folder in folders:
        for name in FILES:
            if (folder / name).is_file():
                return read_class_list(folder / name)
    return None


def read_class_list(path: Path) -> ClassList:
    """Read a file of classes: `NAME`, `INDEX NAME`, `NAME R G B` and the like, one a line.

    Spaces, commas, semicolons and colons separate; lines that begin with # are comments. Without
    an index the line's number counts, from 0. A class called void, ignore or unlabelled is none.

    Raises:
        InputError: the file is no text, or has no classes, or a line that cannot be understood.

    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of classes: {error}") from error
    entries: list[tuple[str, int, Colour | None]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = [word for word in _SEPARATORS.split(line.strip()) if word]
        if not words or line.lstrip().startswith("#") or _is_header(words):
            continue
        entries.append(_entry(words, len(entries), f"{path}: line {number}, {line.strip()!r},"))
    if not entries:
        raise InputError(f"{path} names no classes; {_ACCEPTED}, one a line")
    return _checked(entries, path)


def _is_header(words: list[str]) -> bool:
    return [word.lower() for word in words][-3:] == ["r", "g", "b"]


def _entry(words: list[str], position: int, where: str) -> tuple[str, int, Colour | None]:
    """Return name, value and colour of a line."""
    numeric = [word.isdecimal() for word in words]
    if all(numeric):
        raise InputError(f"{where} has no class name; {_ACCEPTED}")
    first = numeric.index(False)
    last = len(words) - numeric[::-1].index(False)
    before, after = [int(word) for word in words[:first]], [int(word) for word in words[last:]]
    if len(after) == 1:  # "class 1" is a name
        after, last = [], len(words)
    name = " ".join(words[first:last])
    if (len(before), len(after)) not in {(0, 0), (1, 0), (3, 0), (4, 0), (0, 3), (1, 3)}:
        raise InputError(f"{where} cannot be understood; {_ACCEPTED}")
    index = before[0] if len(before) in (1, 4) else position
    colour = after or before[-3:] if len(before) + len(after) >= 3 else []
    if any(part > 255 for part in colour) or index > 65535:
        raise InputError(f"{where} has a number that is too large; colours end at 255")
    return name, index, (colour[0], colour[1], colour[2]) if colour else None


def _checked(entries: list[tuple[str, int, Colour | None]], path: Path) -> ClassList:
    entries = sorted(entries, key=lambda entry: entry[1])
    said: dict[str, list[Any]] = {
        "name": [name for name, _, _ in entries],
        "index": [index for _, index, _ in entries],
        "colour": [colour for _, _, colour in entries if colour is not None],
    }
    for what, kept in said.items():
        twice = next((each for each in kept if kept.count(each) > 1), None)
        if twice is not None:
            raise InputError(f"{path}: the {what} {twice} occurs twice; give each class its own")
    real = [entry for entry in entries if entry[0].lower() not in VOID_NAMES]
    void = [entry for entry in entries if entry[0].lower() in VOID_NAMES]
    if not real:
        raise InputError(f"{path} names no class but void")
    colours = tuple(colour for _, _, colour in real if colour is not None)
    if colours and len(colours) < len(real):
        bare = next(name for name, _, colour in real if colour is None)
        raise InputError(f"{path}: class {bare!r} has no colour, and others have")
    return ClassList(
        names=tuple(name for name, _, _ in real),
        values=tuple(index for _, index, _ in real),
        colours=colours or None,
        void_values=tuple(index for _, index, _ in void),
        void_colours=tuple(colour for _, _, colour in void if colour is not None),
    )
