"""The options of a function or a class, read from its signature."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from regard.core.errors import InputError, unknown_name

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def options_of(taking: Callable[..., Any], given: int) -> tuple[str, ...]:
    """Return the names of the options that a function or a class takes, in its order.

    Args:
        taking: the function or class.
        given: how many parameters stand before its options. `*args` and `**kwargs` name nothing.

    """
    parameters = list(inspect.signature(taking).parameters.values())[given:]
    return tuple(option.name for option in parameters if option.kind not in _VARIADIC)


def require_options(kind: str, name: str, options: Iterable[str], known: tuple[str, ...]) -> None:
    """Raise InputError, with the near matches, for the first option that is not known.

    Args:
        kind: of what takes the options, such as `metric`.
        name: of it.
        options: the names that the user gave.
        known: the names that it takes.

    """
    for option in options:
        if option not in known:
            if not known:
                raise InputError(f"{kind} {name!r} takes no options, got {option!r}")
            raise unknown_name(f"{name} option", option, known)
