"""The errors Regard raises, and the wording they share.

`InputError` is the user's to fix: the command line prints its one line and exits with code 2.
Every other exception is our fault.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class RegardError(Exception):
    """Base class of every error that Regard raises on purpose."""


class InputError(RegardError, ValueError):
    """The user's input is wrong. The message says what, why and how to fix it, in one line."""


class MissingPackage(InputError, ImportError):
    """An optional package is needed and absent. The message names it and the pip command."""


class NothingCaptured(RegardError, LookupError):
    """A capture block ended without having seen any attention."""


# A library has thousands of names; a line can be read that has no more than these.
_LISTED = 40
_NEAR = 3


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Build the error for a name that is not in `known`, with its near matches.

    Where nothing is near, it lists the names, and of very many the nearest.

    Args:
        kind: what the name stands for, such as `"mechanism"`.
        name: the name the user gave.
        known: every name that would have been accepted.

    """
    known = sorted(known)
    if near := get_close_matches(name, known, n=_NEAR, cutoff=0.5):
        hint = f"did you mean {' or '.join(near)}?"
    elif len(known) <= _LISTED:
        hint = f"choose from: {', '.join(known)}"
    else:
        nearest = get_close_matches(name, known, n=_NEAR, cutoff=0.0)
        hint = f"the nearest of {len(known)} are: {', '.join(nearest)}"
    return InputError(f"unknown {kind} {name!r}; {hint}")
