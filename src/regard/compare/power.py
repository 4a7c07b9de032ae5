"""How many seeds it takes to see a difference."""

import math

from regard.core.errors import InputError

_FAR = 6.0  # beyond, the tail on the wrong side is below 1e-9, and scipy's may be NaN


def t_test_power(seeds: int, effect: float, sd: float, *, level: float = 0.05) -> float:
    """Return the chance that a two-sided paired t test finds a difference.

    Cohen 1988, "Statistical Power Analysis", section 2.3.5: under the non-central t distribution,
    with n − 1 degrees of freedom and non-centrality √n · effect / sd.

    Args:
        seeds: at least 2.
        effect: the difference that is true.
        sd: the standard deviation of the paired differences, above 0.
        level: of the test.

    """
    from scipy.stats import nct, t  # slow to import

    freedom = seeds - 1
    beyond = t.ppf(1 - level / 2, freedom)
    centre = math.sqrt(seeds) * abs(effect) / sd
    wrong_side = nct.cdf(-beyond, freedom, centre) if centre < _FAR else 0.0
    return float(nct.sf(beyond, freedom, centre) + wrong_side)


def seeds_needed(
    sd: float, *, effect: float = 0.003, power: float = 0.8, level: float = 0.05
) -> int:
    """Return how many seeds a two-sided paired t test needs to see a difference.

    For one comparison alone; a correction for several asks for more.

    Args:
        sd: the standard deviation of the paired differences, above 0. From few seeds it is a
            rough guess, and so is the answer: see `sd_interval`.
        effect: the difference to be seen (0.003 is 0.3 points of accuracy).
        power: how likely it shall be seen, between the level and 1.
        level: of the test.

    """
    if not (sd > 0 and math.isfinite(sd)):
        raise InputError(f"the standard deviation is {sd}; give a number above 0")
    if not effect > 0:
        raise InputError(f"the difference to be seen is {effect}; give a number above 0")
    if not level < power < 1:
        raise InputError(f"the power is {power}; give a number between the level {level} and 1")
    few, many = 1, 2
    while t_test_power(many, effect, sd, level=level) < power:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        if t_test_power(middle, effect, sd, level=level) < power:
            few = middle
        else:
            many = middle
    return many


def sd_interval(sd: float, seeds: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return how small and how large a standard deviation may be that was taken from few seeds.

    From the χ² distribution of a normal sample's variance (Fisher 1925, "Statistical Methods for
    Research Workers", section 20). From 5 seeds: 0.6 to 2.9 times what was found.

    Args:
        sd: as found, with n − 1.
        seeds: that it was found from, at least 2.
        confidence: two-sided.

    """
    from scipy.stats import chi2  # slow to import

    if seeds < 2:
        raise InputError(f"{seeds} seeds have no standard deviation; give at least 2")
    freedom = seeds - 1
    low, high = chi2.ppf([(1 - confidence) / 2, (1 + confidence) / 2], freedom)
    return sd * math.sqrt(freedom / high), sd * math.sqrt(freedom / low)
