"""A named collection whose unknown names are answered with the near matches."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from regard.core.errors import InputError, unknown_name

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name. Registering an entry is what enrols it in the contract tests."""

    def __init__(self, kind: str) -> None:
        """Create an empty registry of things called `kind` (used in error messages)."""
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> None:
        """Register `entry` as `name`; a second entry of the same name is an error."""
        if name in self._entries:
            raise InputError(f"{self.kind} {name!r} is registered already; choose another name")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Forget `name`, so that a test or a notebook can register it again."""
        self[name]
        del self._entries[name]

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise unknown_name(self.kind, name, self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
