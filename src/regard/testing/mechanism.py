"""The contract of an attention mechanism, as a list of named checks that anyone can run."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from regard.attention import Mechanism, mechanisms
from regard.testing import mechanism_gradients, mechanism_interface, mechanism_values
from regard.testing.contract import ContractCheck, checks_of
from regard.testing.subject import Subject

Check = Callable[[Subject], None]

FAST_CHECKS: tuple[Check, ...] = (
    mechanism_interface.channel_counts,
    mechanism_interface.unknown_option,
    mechanism_interface.every_option_used,
    mechanism_values.output_shape,
    mechanism_values.finite_values,
    mechanism_values.images_independent,
    mechanism_values.repeatable,
    mechanism_values.inputs_unchanged,
    mechanism_values.random_state_untouched,
    mechanism_values.any_memory_format,
    mechanism_values.bfloat16,
    mechanism_values.autocast,
    mechanism_gradients.gradients_reach_everything,
    mechanism_gradients.moves_when_inserted,
    mechanism_gradients.gradients_right,
    mechanism_gradients.gradients_finite,
    mechanism_interface.state_dict_round_trip,
    mechanism_interface.costs_counted,
    mechanism_interface.fused_attention,
    mechanism_interface.visible_to_capture,
    mechanism_interface.compiles_whole,
)
"""Checks that take milliseconds; the names of the functions are the names of the checks."""

SLOW_CHECKS: tuple[Check, ...] = (mechanism_interface.compiles_to_machine_code,)
"""Checks that call a C++ compiler and take seconds."""


class MechanismCheck(ContractCheck[Mechanism, Subject]):
    """One check of one mechanism, with every option set asked for; call it to run it."""

    def subjects(self, options: Mapping[str, Any]) -> Iterator[Subject]:
        """Yield the mechanism with these options."""
        yield Subject(self.entry, options, self.name)


def mechanism_checks(
    mechanism: str | Mechanism,
    *,
    options: Mapping[str, Any] | None = None,
    slow: bool = False,
) -> Iterator[tuple[str, MechanismCheck]]:
    """Return an iterator over (check name, callable), for each check of a mechanism.

    Args:
        mechanism: a registered name, or an entry.
        options: the constructor's options to check it with; default all of its `examples`.
        slow: those checks that take seconds, in place of the fast ones.

    Raises:
        InputError: no such mechanism.

    """
    checks = SLOW_CHECKS if slow else FAST_CHECKS
    return checks_of(mechanisms, mechanism, options, checks, MechanismCheck)


def check_mechanism(
    mechanism: str | Mechanism,
    *,
    options: Mapping[str, Any] | None = None,
    slow: bool = False,
) -> None:
    """Check that a mechanism keeps its contract; raise at the first check that it breaks.

    The mechanism is built with 8 channels and run on small random maps on the CPU. One with
    context gets a second map of `context_channels` channels where the options say so, else of as
    many as the first. Compiled code is dropped (`torch.compiler.reset`) by the checks that compile.

    Args:
        mechanism: a registered name, or an entry.
        options: the constructor's options to check it with; default all of its `examples`.
        slow: run the checks that take seconds too.

    Raises:
        ContractViolation: the message names the mechanism, the check, what was found and the fix.
        InputError: no such mechanism.

    """
    for passes in (False, True) if slow else (False,):
        for _name, check in mechanism_checks(mechanism, options=options, slow=passes):
            check()
