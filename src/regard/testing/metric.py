"""The contract of a metric, as a list of named checks that anyone can run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from regard.check.case import Case
from regard.check.controls import displaced
from regard.check.counted import counted
from regard.check.metric import Metric, metrics
from regard.core.errors import InputError
from regard.core.seeding import seeded
from regard.explain.targets import Score
from regard.testing.contract import ContractCheck, checks_of
from regard.testing.explained import RefusedError
from regard.testing.measured import Asked, Failing, Measured, explain, planted_case
from regard.testing.trace import require_no_trace

# What summing in another order, or in another batch, may change.
_TOLERANCE = 1e-4
_SIZES = ((24, 32), (18, 18), (17, 30))
_COPIES = 24
# An exception is raised at the first call, and later, where a metric is in the midst of its work.
_FAILS_AT = (1, 2, 5)


def one_number_a_map(measured: Measured) -> None:
    """It returns one finite number for each map, (map,), float64, on the CPU."""
    maps = measured.maps(measured.case())
    # Not through the entry: the types that are checked there would be reported in its place.
    values = measured.entry.measure(measured.case(), maps, **measured.options)
    measured.require(
        isinstance(values, Tensor) and values.shape == (len(maps),),
        f"the result is {_described(values)} for {len(maps)} maps",
        "return one number for each map, (map,)",
    )
    measured.require(
        values.dtype == torch.float64 and values.device.type == "cpu" and not values.requires_grad,
        f"the numbers are {_described(values)}",
        "return float64 on the CPU, detached",
    )
    measured.require(
        bool(values.isfinite().all()), f"the numbers are {values.tolist()}", "guard every divisor"
    )


def maps_independent(measured: Measured) -> None:
    """Each map is measured for itself: alone it has the same value as among others."""
    maps = measured.maps(measured.case())
    together = measured.run(maps=maps)
    alone = torch.cat([measured.run(maps=one[None]) for one in maps])
    backwards = measured.run(maps=maps.flip(0)).flip(0)
    for values in (alone, backwards):
        _require_alike(
            measured,
            together,
            values,
            "the value of a map depends on the other maps",
            "take no mean, maximum or rank over the maps",
        )


def repeatable(measured: Measured) -> None:
    """The same call gives the same numbers, whatever the global random state."""
    case, found = measured.case(), []
    for seed in range(3):
        with seeded(seed):
            found.append(measured.run(case if seed < 2 else None))
    measured.require(
        all(torch.equal(found[0], other) for other in found[1:]),
        f"calls give different numbers: {[values.tolist() for values in found]}",
        "draw random numbers from regard.core.seeding.generator(case.seed, …)",
    )


def chunks_play_no_part(measured: Measured) -> None:
    """How many copies of the image run together changes nothing."""
    few, many = (measured.run(replace(measured.case(), chunk=chunk)) for chunk in (1, 64))
    _require_alike(
        measured,
        few,
        many,
        "the numbers depend on the chunk",
        "let case.scores make the copies by their numbers",
    )


def leaves_no_trace(measured: Measured) -> None:
    """Flags, hooks, gradients, weights, image, maps and random state are as before."""
    case, maps = measured.case(), measured.maps(measured.case())
    require_no_trace(measured, case.model, _given(case, maps), lambda: measured.run(case, maps))


def leaves_no_trace_after_an_exception(measured: Measured) -> None:
    """The same holds where the score or the method raises, and it does not hide that."""
    maps = measured.maps(measured.case())
    for what in ("score", "explain"):
        for at in _FAILS_AT:
            case = measured.case()
            failing = Failing(case.score.of if what == "score" else explain, at)
            changed = Score(failing, case.score.names) if what == "score" else failing
            case = replace(case, **{what: changed})
            require_no_trace(
                measured,
                case.model,
                _given(case, maps),
                lambda case=case, failing=failing: _refused(measured, case, maps, failing),
            )
            if not failing.reached:
                break  # it is not asked so often


def _refused(measured: Measured, case: Case, maps: Tensor, failing: Failing) -> None:
    try:
        measured.run(case, maps)
    except RefusedError:
        return
    if failing.reached:
        measured.fail("an exception of the score or the method was swallowed", "let it pass")


def better_where_the_answer_is(measured: Measured) -> None:
    """A map that tells a planted answer is better than copies of it elsewhere, in the mean."""
    if not measured.entry.place:
        return
    case, answer = planted_case()
    copies = displaced(answer, _COPIES, seed=0)
    value, *others = measured.run(case, torch.cat([answer[None], copies])).tolist()
    mean = sum(others) / len(others)
    higher = measured.entry.better == "higher"
    measured.require(
        value > mean if higher else value < mean,
        f"the right map has {value:.4g} and copies of it elsewhere {mean:.4g}, where "
        f"{measured.entry.better} is better",
        "name the other direction in better=, or register with place=False",
    )


def place_plays_no_part(measured: Measured) -> None:
    """Where it says that place plays no part, and asks for nothing, a moved map has its value.

    A metric that runs the method again compares maps pixel by pixel, and has place=False because
    copies elsewhere are no controls for it; of it this is not asked.
    """
    if measured.entry.place or measured.entry.needs:
        return
    maps = measured.maps(measured.case())
    _require_alike(
        measured,
        measured.run(maps=maps),
        measured.run(maps=maps.roll((5, 7), (1, 2))),
        "a map moved around has another value",
        "register with place=True",
    )


def asks_once(measured: Measured) -> None:
    """Where it says that it asks the model the same whatever the maps, more maps cost nothing."""
    if not measured.entry.asks_once:
        return
    asked = []
    for count in (1, 3):
        case = measured.case()
        with counted(case.model) as passes:
            measured.run(case, measured.maps(case)[:count])
        asked.append(passes.images)
    measured.require(
        asked[0] == asked[1],
        f"1 map costs {asked[0]} forward passes and 3 maps {asked[1]}",
        "register with asks_once=False, or keep what does not depend on the map in case.once",
    )


def unknown_option(measured: Measured) -> None:
    """An option that it does not have is refused, not swallowed."""
    case = measured.case()
    try:
        measured.entry.measure(case, measured.maps(case), no_such_option=1, **measured.options)
    except (TypeError, InputError):
        return
    measured.fail("no_such_option=1 is accepted", "name every option; take no **options")


def needs_declared(measured: Measured) -> None:
    """It works, and gives the same numbers, where nothing is known but what it says it needs."""
    maps = measured.maps(measured.case())
    try:
        found = measured.run(measured.case_of_needs(), maps)
    except (InputError, TypeError, AttributeError) as error:
        measured.fail(
            f"with needs={measured.entry.needs} alone: {type(error).__name__}: {error}",
            "declare what it needs in needs=",
        )
    _require_alike(
        measured,
        found,
        measured.run(maps=maps),
        "the numbers are others where more is known",
        "declare in needs= what it looks at",
    )


def needs_used(measured: Measured) -> None:
    """What it says it needs, it looks at."""
    case, asked = measured.case(), Asked()
    maps = measured.maps(case)
    found = measured.run(replace(case, explain=asked), maps)
    used = {
        "explain": bool(asked.scores),
        "classes": case.other in asked.scores,
        "truth": True,
    }
    if "truth" in measured.entry.needs and case.truth is not None:
        elsewhere = replace(measured.case(), truth=case.truth.flip(0, 1))
        used["truth"] = not torch.equal(found, measured.run(elsewhere, maps))
    unused = [need for need in measured.entry.needs if not used[need]]
    measured.require(not unused, f"it never looks at {', '.join(unused)}", "leave it out of needs=")


def any_size(measured: Measured) -> None:
    """It measures maps of wide, square and odd images, also one map alone."""
    for size in _SIZES:
        case = measured.case(size)
        values = measured.run(case, measured.maps(case)[:1])
        measured.require(
            values.shape == (1,) and bool(values.isfinite().all()),
            f"for an image of {size[0]}×{size[1]} the numbers are {values.tolist()}",
            "take rows and columns from case.size",
        )


def constant_maps(measured: Measured) -> None:
    """A map that says the same everywhere, or nothing, has a finite value."""
    maps = torch.stack([torch.full(measured.case().size, value) for value in (0.0, 1.0, -0.1)])
    values = measured.run(maps=maps.double())
    measured.require(
        bool(values.isfinite().all()),
        f"maps of 0, 1 and -0.1 everywhere have {values.tolist()}",
        "guard every divisor",
    )


def _given(case: Case, maps: Tensor) -> dict[str, Tensor]:
    truth = {} if case.truth is None else {"truth": case.truth}
    return {"image": case.image, "maps": maps, **truth}


def _described(values: Any) -> str:
    if not isinstance(values, Tensor):
        return type(values).__name__
    tied = ", tied to its graph" if values.requires_grad else ""
    return f"{tuple(values.shape)} {values.dtype} on {values.device.type}{tied}"


def _require_alike(measured: Measured, first: Tensor, second: Tensor, found: str, fix: str) -> None:
    scale = float(second.abs().max().clamp(min=1e-6))
    most = float((first - second).abs().max())
    measured.require(most <= _TOLERANCE * scale, f"{found}, by up to {most:.3g}", fix)


Check = Callable[[Measured], None]

CHECKS: tuple[Check, ...] = (
    one_number_a_map,
    maps_independent,
    repeatable,
    chunks_play_no_part,
    leaves_no_trace,
    leaves_no_trace_after_an_exception,
    better_where_the_answer_is,
    place_plays_no_part,
    asks_once,
    unknown_option,
    needs_declared,
    needs_used,
    any_size,
    constant_maps,
)
"""The names of the functions are the names of the checks."""


class MetricCheck(ContractCheck[Metric, Measured]):
    """One check of one metric, with every option set asked for; call it to run it."""

    def subjects(self, options: Mapping[str, Any]) -> Iterator[Measured]:
        """Yield the metric with these options."""
        yield Measured(self.entry, {**self.entry.quick, **options}, self.name)


def metric_checks(
    metric: str | Metric, *, options: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, MetricCheck]]:
    """Return an iterator over (check name, callable), for each check of a metric.

    Args:
        metric: a registered name, or an entry.
        options: the options to check it with; default all of its `examples`.

    Raises:
        InputError: no such metric.

    """
    return checks_of(metrics, metric, options, CHECKS, MetricCheck)


def check_metric(metric: str | Metric, *, options: Mapping[str, Any] | None = None) -> None:
    """Check that a metric keeps its contract; raise at the first check that it breaks.

    It is run on a small CNN with random weights, and on a model with a planted answer, on the CPU.

    Args:
        metric: a registered name, or an entry.
        options: the options to check it with; default all of its `examples`.

    Raises:
        ContractViolation: the message names the metric, the check, what was found and the fix.
        InputError: no such metric.

    """
    for _name, check in metric_checks(metric, options=options):
        check()
