"""Checks of a mechanism's options and input: one line with the value and what would do."""

from collections.abc import Iterable

from torch import Tensor

from regard.core.errors import InputError, unknown_name


def at_least(minimum: int, **options: int) -> None:
    """Raise InputError for the first option that is not an integer of at least `minimum`."""
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise InputError(f"{name} is {value!r}; it must be an integer of at least {minimum}")


def one_of(choices: Iterable[str], **options: str) -> None:
    """Raise InputError, with the near matches, for the first option that is not in `choices`."""
    choices = tuple(choices)
    for name, value in options.items():
        if value not in choices:
            raise unknown_name(name, value, choices)


def divides_channels(channels: int, **options: int) -> None:
    """Raise InputError for the first option that is no divisor of the channels."""
    at_least(1, **options)
    for name, value in options.items():
        if channels % value:
            divisors = [n for n in range(1, channels + 1) if channels % n == 0]
            raise InputError(
                f"{name} is {value}, which does not divide the {channels} channels; "
                f"choose from: {', '.join(map(str, divisors))}"
            )


def rows_and_cols(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a `size` option as (rows, cols); one number stands for a square."""
    rows, cols = (size, size) if isinstance(size, int) else size
    at_least(1, size=rows)
    at_least(1, size=cols)
    return rows, cols


def require_odd(name: str, value: int, *, at_least: int = 1) -> None:
    """Raise InputError if the option `name` is even or below `at_least`."""
    if value < at_least or value % 2 == 0:
        raise InputError(f"{name} is {value!r}; it must be an odd integer of at least {at_least}")


def require_channels(mechanism: str, x: Tensor, channels: int) -> None:
    """Raise InputError if x, (batch, channel, …), has other channels than were promised."""
    if x.shape[1] != channels:
        raise InputError(
            f"{mechanism} was made for {channels} channels and got a map of {x.shape[1]}; "
            f"create it with channels={x.shape[1]}"
        )


def reduced_width(channels: int, reduction: int, min_width: int) -> int:
    """Return the width of a bottleneck: channels / reduction, but at least `min_width`.

    Raises:
        InputError: one of the three is below 1.

    """
    at_least(1, channels=channels, reduction=reduction, min_width=min_width)
    return max(channels // reduction, min_width)
