"""How large a difference is, beside its spread over seeds."""

from math import exp, lgamma, log

import numpy as np
from jaxtyping import Float


def effect_size(differences: Float[np.ndarray, " seed"]) -> float | None:
    """Return Cohen's d_z with Hedges' correction.

    Cohen 1988, "Statistical Power Analysis", section 2.3.5: the mean of the paired differences in
    units of their standard deviation. From few seeds that comes out too large; Hedges 1981,
    "Distribution Theory for Glass's Estimator of Effect Size", equation 6e, takes it back: by
    20 % at 5 seeds, and wholly at 2. None for fewer than 3, or where all differences are alike.
    """
    seeds = len(differences)
    sd = differences.std(ddof=1) if seeds > 2 and np.ptp(differences) > 0 else 0.0
    return float(differences.mean() / sd * hedges(seeds - 1)) if sd else None


def hedges(freedom: int) -> float:
    """Return Hedges' factor Γ(m/2) / (√(m/2) Γ((m − 1)/2)) for m > 1 degrees of freedom."""
    return exp(lgamma(freedom / 2) - lgamma((freedom - 1) / 2) - log(freedom / 2) / 2)
