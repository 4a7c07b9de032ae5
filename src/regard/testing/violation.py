"""What a contract suite raises, and how a check comes to raise it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NoReturn, TypeVar


class ContractViolation(AssertionError):
    """A contract is broken. The message names who, which check, what was found, and the fix."""


class Checked(ABC):
    """Something under one check."""

    check: str

    @property
    @abstractmethod
    def who(self) -> str:
        """What it is called in messages, with its options."""

    def fail(self, found: str, fix: str) -> NoReturn:
        """Raise ContractViolation: who, which check, what was found, how to fix it."""
        raise ContractViolation(f"{self.who} breaks {self.check!r}: {found}; {fix}")

    def require(self, holds: bool, found: str, fix: str) -> None:
        """Raise ContractViolation unless `holds`."""
        if not holds:
            self.fail(found, fix)


Subject = TypeVar("Subject", bound=Checked)


def hold_to(check: Callable[[Subject], None], subject: Subject) -> None:
    """Run a check; whatever a stranger's code raises is its violation."""
    try:
        check(subject)
    except ContractViolation:
        raise
    except Exception as error:
        first_line = str(error).strip().split("\n", 1)[0]
        purpose = (check.__doc__ or "").strip().split("\n", 1)[0]
        subject.fail(f"{type(error).__name__}: {first_line}", f"the check: {purpose}")
