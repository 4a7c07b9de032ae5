"""The frame of a contract suite: named checks of a registered thing, with every option set."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from regard.core.registry import Registry
from regard.testing.violation import Checked, ContractViolation, Registered

Entry = TypeVar("Entry", bound=Registered)
Looked = TypeVar("Looked", bound=Checked[Any])
OptionSets = tuple[Mapping[str, Any], ...]
Run = TypeVar("Run")


@dataclass(frozen=True)
class ContractCheck(ABC, Generic[Entry, Looked]):
    """One check of one thing, with every option set asked for; call it to run it.

    Attributes:
        entry: the thing.
        option_sets: the sets of options it is checked with, one after the other.
        check: what runs.

    """

    entry: Entry
    option_sets: OptionSets
    check: Callable[[Looked], None]

    @property
    def name(self) -> str:
        """The name of the check."""
        return self.check.__name__

    @abstractmethod
    def subjects(self, options: Mapping[str, Any]) -> Iterable[Looked]:
        """Return what the check looks at, one after the other, for a set of options."""

    def __call__(self) -> None:
        """Run the check; raise ContractViolation where the thing breaks it."""
        for options in self.option_sets:
            for subject in self.subjects(options):
                hold_to(self.check, subject)


def checks_of(
    registry: Registry[Entry],
    thing: str | Entry,
    options: Mapping[str, Any] | None,
    checks: Iterable[Callable[[Looked], None]],
    kind: Callable[[Entry, OptionSets, Callable[[Looked], None]], Run],
) -> Iterator[tuple[str, Run]]:
    """Yield (check name, callable) for each check of a thing.

    Args:
        registry: where a name is looked up.
        thing: a registered name, or an entry.
        options: the options to check it with; None for all of its `examples`.
        checks: the names of the functions are the names of the checks.
        kind: the `ContractCheck` to yield.

    Raises:
        InputError: nothing is registered under this name.

    """
    entry = registry[thing] if isinstance(thing, str) else thing
    option_sets = tuple(entry.examples) if options is None else (options,)
    for check in checks:
        yield check.__name__, kind(entry, option_sets, check)


def hold_to(check: Callable[[Looked], None], subject: Looked) -> None:
    """Run a check; whatever a stranger's code raises is its violation."""
    try:
        check(subject)
    except ContractViolation:
        raise
    except Exception as error:
        first_line = str(error).strip().split("\n", 1)[0]
        purpose = (check.__doc__ or "").strip().split("\n", 1)[0]
        subject.fail(f"{type(error).__name__}: {first_line}", f"the check: {purpose}")
