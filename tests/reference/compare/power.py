"""Twins of power, of the seeds that are needed, and of the effect size, by what they mean."""

import math

from tests.reference.compare.distributions import (
    chi_density,
    chi_quantile,
    normal_above,
    simpson,
    t_quantile,
)


def power(seeds, effect, sd, level):
    """P(|mean| / standard error > quantile), over all spreads that a sample may have."""
    freedom = seeds - 1
    beyond = t_quantile(1 - level / 2, freedom)
    centre = math.sqrt(seeds) * effect / sd

    def found(s):
        reach = beyond * s / math.sqrt(freedom)
        return chi_density(s, freedom) * (
            normal_above(reach - centre) + normal_above(reach + centre)
        )

    return simpson(found, 0.0, math.sqrt(freedom) + 8, 4000)


def seeds_needed(sd, effect, chance, level):
    seeds = 2
    while power(seeds, effect, sd, level) < chance:
        seeds += 1
    return seeds


def sd_interval(sd, seeds, confidence):
    """The spreads under which one as found is neither too large nor too small."""
    freedom = seeds - 1
    low, high = ((1 - confidence) / 2, (1 + confidence) / 2)
    root = sd * math.sqrt(freedom)
    return root / chi_quantile(high, freedom), root / chi_quantile(low, freedom)


def hedges(freedom):
    """What makes the effect size unbiased: 1 / E(σ / sd) over the spreads of normal samples."""
    mean = simpson(
        lambda s: chi_density(s, freedom) * math.sqrt(freedom) / s if s else 0.0,
        1e-9,
        math.sqrt(freedom) + 8,
        20_000,
    )
    return 1 / mean
