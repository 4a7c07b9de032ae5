"""Twin of the two one-sided tests, by what Schuirmann 1987 shows they amount to.

Equivalence is claimed at level α exactly where the 1 − 2α interval lies within the margins; the
p-value is the smallest such α.
"""

import math

from tests.reference.compare.distributions import bisected, t_above
from tests.reference.compare.intervals import mean_and_error


def equivalence_p(differences, margin):
    mean, error = mean_and_error(differences)
    freedom = len(differences) - 1

    def within(level):
        # An interval of less than no confidence (level above a half) has its ends swapped.
        quantile = bisected(
            lambda a: t_above(math.tan(a), freedom) <= level, -math.pi / 2, math.pi / 2
        )
        reach = math.tan(quantile) * error
        return mean - reach >= -margin and mean + reach <= margin

    return bisected(within, 0.0, 1.0)
