"""The statistics of a study: one variant over its seeds, and two of them seed by seed.

Accuracies are fractions; 0.002 is 0.2 points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regard.compare.effect_size import effect_size
from regard.compare.equivalence import equivalence_p
from regard.compare.intervals import (
    Summary,
    bootstrap_interval,
    finite,
    number,
    standard_error,
    summary,
    t_interval,
)
from regard.compare.pareto import pareto_front
from regard.compare.power import sd_interval, seeds_needed, t_test_power
from regard.compare.significance import (
    holm,
    paired_t_p,
    seeds_to_reach,
    sign_flip_p,
    smallest_p,
)
from regard.core.errors import InputError

__all__ = [
    "RULES",
    "Difference",
    "Rules",
    "Summary",
    "bootstrap_interval",
    "difference",
    "effect_size",
    "equivalence_p",
    "holm",
    "paired_t_p",
    "pareto_front",
    "sd_interval",
    "seeds_needed",
    "seeds_to_reach",
    "sign_flip_p",
    "smallest_p",
    "summary",
    "t_interval",
    "t_test_power",
]

# Accuracies are shares of whole images: what lies beyond this many decimals is rounding.
_DECIMALS = 12


@dataclass(frozen=True)
class Rules:
    """What a study goes by; fixed before its results are seen.

    Attributes:
        level: how often a difference may be claimed that is none, over all comparisons together.
        margin: what counts as no difference: 0.002 is 0.2 points.
        effect: the difference that seeds are counted for: 0.003 is 0.3 points.
        power: how likely it shall be seen.

    """

    level: float = 0.05
    margin: float = 0.002
    effect: float = 0.003
    power: float = 0.8

    def __post_init__(self) -> None:
        for name in ("level", "power"):
            if not 0 < (value := getattr(self, name)) < 1:
                raise InputError(f"{name} is {value}; give a number between 0 and 1")
        for name in ("margin", "effect"):
            if not 0 < (value := getattr(self, name)) < 1:
                raise InputError(f"{name} is {value}; give a fraction: 0.002 is 0.2 points")


RULES = Rules()


@dataclass(frozen=True)
class Difference:
    """A variant minus its baseline, paired by seed.

    Attributes:
        n: how many seeds both have.
        mean: of the differences.
        low: where their 95 % t interval begins; None for one seed, or if all seeds are alike.
        high: where it ends.
        bootstrap_low: where the studentised bootstrap interval begins; None below 5 seeds.
        bootstrap_high: where it ends.
        effect_size: Cohen's d_z with Hedges' correction; None below 3 seeds.
        p: of the exact sign-flip test, two-sided.
        p_corrected: the same, after Holm's correction; None before it was made.
        p_t: of the paired t test, for information.
        equivalence_p: of the two one-sided t tests.
        equivalent: whether that is at most 0.05: the difference lies within the margin.
        seeds_needed: to see the effect asked about with a t test, if the spread is as found.
        seeds_needed_low: if the spread is as small as these few seeds allow (95 %).
        seeds_needed_high: if it is as large.

    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None
    effect_size: float | None = None
    p: float = 1.0
    p_corrected: float | None = None
    p_t: float | None = None
    equivalence_p: float | None = None
    equivalent: bool = False
    seeds_needed: int | None = None
    seeds_needed_low: int | None = None
    seeds_needed_high: int | None = None


def difference(
    values: Sequence[float], baseline: Sequence[float], *, rules: Rules = RULES, seed: int = 0
) -> Difference:
    """Return how a variant differs from its baseline.

    Args:
        values: of the variant, one a seed, finite.
        baseline: of the baseline, of the same seeds in the same order.
        rules: level, margin and effect.
        seed: of what is drawn (bootstrap; signs beyond 16 seeds).

    """
    ours, theirs = finite("values", values), finite("baseline", baseline)
    if len(ours) != len(theirs):
        raise InputError(
            f"{len(ours)} values against {len(theirs)} of the baseline; pair them by seed"
        )
    if not len(ours):
        raise InputError("no seed to compare by; give at least one that both sides have")
    paired = np.round(ours - theirs, _DECIMALS)
    low, high = map(number, t_interval(paired))
    bootstrap_low, bootstrap_high = map(number, bootstrap_interval(paired, seed=seed))
    as_nought = number(equivalence_p(paired, margin=rules.margin))
    needed, fewest, most = _seeds_needed(paired, rules)
    return Difference(
        n=len(paired),
        mean=float(paired.mean()),
        low=low,
        high=high,
        bootstrap_low=bootstrap_low,
        bootstrap_high=bootstrap_high,
        effect_size=effect_size(paired),
        p=float(sign_flip_p(paired, seed=seed)),
        p_t=number(paired_t_p(paired)),
        equivalence_p=as_nought,
        equivalent=as_nought is not None and as_nought <= rules.level,
        seeds_needed=needed,
        seeds_needed_low=fewest,
        seeds_needed_high=most,
    )


def _seeds_needed(paired: np.ndarray, rules: Rules) -> tuple[int | None, int | None, int | None]:
    if np.isnan(error := standard_error(paired)):
        return None, None, None
    sd = float(error) * len(paired) ** 0.5
    needed, fewest, most = (
        seeds_needed(guess, effect=rules.effect, power=rules.power, level=rules.level)
        for guess in (sd, *sd_interval(sd, len(paired)))
    )
    return needed, fewest, most
