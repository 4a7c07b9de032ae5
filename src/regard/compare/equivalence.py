"""Whether a difference is as good as nought."""

import numpy as np

from regard.compare.intervals import Numbers, Seeds, standard_error
from regard.core.errors import InputError


def equivalence_p(differences: Seeds, *, margin: float = 0.002) -> Numbers:
    """Return the p-value of equivalence: two one-sided paired t tests.

    Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power approach for
    assessing the equivalence of average bioavailability". Tested is that the difference is below
    −margin, or above +margin; p is the larger of the two p-values. A small one says that the
    difference lies between: that is evidence of absence, which a large p-value of a test for a
    difference is not. p ≤ 0.05 exactly where the 90 % t interval lies within the margins.

    NaN for one seed, or where all differences are alike.

    Args:
        differences: of one seed each.
        margin: what counts as no difference, above 0 (0.002 is 0.2 points of accuracy).

    """
    from scipy.stats import t  # slow to import

    if not margin > 0:
        raise InputError(f"the margin of equivalence is {margin}; give a number above 0")
    error = standard_error(differences)
    mean = differences.mean(-1)
    freedom = max(1, differences.shape[-1] - 1)
    above_low = t.sf((mean + margin) / error, freedom)
    below_high = t.cdf((mean - margin) / error, freedom)
    return np.asarray(np.maximum(above_low, below_high))
