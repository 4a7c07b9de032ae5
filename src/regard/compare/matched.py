"""Networks without attention that cost as much as those with it.

Attention adds parameters and operations. A gain over the plain network may be due to them alone,
and a network that was widened until it costs as much tells the two apart.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from regard.compare.study import PLAIN, Study, Variant
from regard.core.errors import InputError
from regard.models.build import find_network
from regard.models.network_word import parse_network

CostOf = Callable[[Variant], float]

_WIDEST = 4
"""Times the plain network's width: attention that costs more is compared with nothing here."""


def with_matches(study: Study, variants: list[Variant], cost: CostOf) -> list[Variant]:
    """Return a network's variants, each with its match, and the widened networks behind them.

    Args:
        study: says how near is near enough.
        variants: the plain network first, then those with attention.
        cost: parameters or operations of a variant.

    Raises:
        InputError: the network has no option that widens it, or cannot be made wide enough.

    """
    if study.match == "none":
        return variants
    plain, *attending = variants
    least = cost(plain)
    widened: list[tuple[Variant, float]] = []
    matched: list[Variant] = []
    for variant in attending:
        wanted = cost(variant)
        if wanted - least <= study.match_tolerance * least:
            matched.append(replace(variant, matched_by=PLAIN))
            continue
        match = _near(widened, wanted, study.match_tolerance)
        if match is None:
            match, found = _widened(study.task, plain, wanted, cost)
            if match.role == "matched" and match.name not in {other.name for other, _ in widened}:
                widened.append((match, found))
        matched.append(replace(variant, matched_by=match.name))
    return [plain, *matched, *(match for match, _ in widened)]


def _near(widened: list[tuple[Variant, float]], wanted: float, tolerance: float) -> Variant | None:
    """Return the widened network that costs nearly what is wanted, if there is one."""
    nearest = min(widened, key=lambda found: abs(found[1] - wanted), default=None)
    if nearest is None or abs(nearest[1] - wanted) > tolerance * wanted:
        return None
    return nearest[0]


def _widened(task: str, plain: Variant, wanted: float, cost: CostOf) -> tuple[Variant, float]:
    """Return the network whose cost is nearest to what is wanted, and that cost.

    It is the plain one where the next wider is farther away.
    """
    name, options = parse_network(plain.network)
    network = find_network(name, task)
    if (wider := network.widens) is None:
        raise InputError(
            f"network {name!r} has no option that widens it, so that none of its size can be "
            'matched to one with attention; choose match "none"'
        )
    known = inspect.signature(network.build).parameters
    given = {key: options.get(key, known[key].default) for key in (wider.option, *wider.along)}
    width = given[wider.option]

    def at(steps: int) -> Variant:
        if steps == 0:
            return plain
        value = round(width + steps * wider.step, 2)
        along = {key: round(given[key] * value / width) for key in wider.along}
        word = spelled(name, {**options, wider.option: value, **along})
        return Variant(plain.model, word, word, PLAIN, "matched")

    # Cost rises with every step: the first that costs enough, or the one before it, is nearest.
    low, high = 0, (most := round((_WIDEST - 1) * width / wider.step))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(at(middle)) < wanted else (low, middle)
    if high == most and cost(at(high)) < wanted:
        raise InputError(
            f"{plain.network} costs less than one with attention even at {_WIDEST} times its width "
            f'({cost(at(high)):,.0f} of {wanted:,.0f}) and has no match; choose match "none"'
        )
    nearest = min((at(low), at(high)), key=lambda variant: abs(cost(variant) - wanted))
    return nearest, cost(nearest)


def spelled(name: str, options: dict[str, Any]) -> str:
    """Return a network as users write it: the reverse of `regard.models.build.parse_network`."""
    inside = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f"{name}({inside})" if inside else name
