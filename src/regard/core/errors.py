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


# A library has thousands of names; one line has room for as many.
_LISTED = 40


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Build the error for a name that is not in `known`, with its near matches.

    Args:
        kind: what the name stands for, such as `"mechanism"`.
        name: the name the user gave.
        known: every name that would have been accepted.

    """
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    more = f", … ({len(known)} in all)" if len(known) > _LISTED else ""
    listed = f"choose from: {', '.join(known[:_LISTED])}{more}"
    hint = f"did you mean {' or '.join(near)}?" if near else listed
    return InputError(f"unknown {kind} {name!r}; {hint}")
