"""What a contract suite raises, and what of it every check's message names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, runtime_checkable


class ContractViolation(AssertionError):
    """A contract is broken. The message names who, which check, what was found, and the fix."""


@runtime_checkable
class Registered(Protocol):
    """What a suite knows of a thing that is registered."""

    @property
    def name(self) -> str:
        """The name users write."""
        ...

    @property
    def examples(self) -> Sequence[Mapping[str, Any]]:
        """The option sets to check it with."""
        ...


Entry = TypeVar("Entry", bound=Registered)


@dataclass(frozen=True)
class Checked(Generic[Entry]):
    """A registered thing with one set of options, under one check.

    Attributes:
        entry: the thing.
        options: its options.
        check: the name of the check, for the messages.
        thing: what it is called in messages, such as `metric`.

    """

    thing: ClassVar[str]

    entry: Entry
    options: Mapping[str, Any]
    check: str

    @property
    def who(self) -> str:
        """What it is called in messages, with its options."""
        how = f" with {dict(self.options)}" if self.options else ""
        return f"{self.thing} {self.entry.name!r}{how}"

    def fail(self, found: str, fix: str) -> NoReturn:
        """Raise ContractViolation: who, which check, what was found, how to fix it."""
        raise ContractViolation(f"{self.who} breaks {self.check!r}: {found}; {fix}")

    def require(self, holds: bool, found: str, fix: str) -> None:
        """Raise ContractViolation unless `holds`."""
        if not holds:
            self.fail(found, fix)
