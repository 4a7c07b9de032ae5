"""Twins of the intervals: Student's, the bootstrap-t of Efron 1981 over all samples, widened."""

import math
from itertools import product

from tests.reference.compare.distributions import t_quantile


def mean_and_error(values):
    """The mean and its standard error."""
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, math.sqrt(variance / n)


def t_interval(values, confidence):
    mean, error = mean_and_error(values)
    reach = t_quantile((1 + confidence) / 2, len(values) - 1) * error
    return mean - reach, mean + reach


def bootstrap_t(values, confidence):
    """With every one of the n^n samples, each as likely as the others."""
    centre, spread = mean_and_error(values)
    pivots = []
    for sample in product(values, repeat=len(values)):
        mean, error = mean_and_error(sample)
        if len(set(sample)) > 1:
            pivots.append((mean - centre) / error)
        else:
            pivots.append(math.inf if sample[0] > centre else -math.inf)
    pivots.sort()
    tail = (1 - confidence) / 2
    low, high = pivots[int(tail * len(pivots))], pivots[int((1 - tail) * len(pivots))]
    return centre - high * spread, centre - low * spread


def widened_bootstrap_t(values, confidence):
    """Halfway to the t interval on each side on which that one reaches further."""
    (low, high), (t_low, t_high) = bootstrap_t(values, confidence), t_interval(values, confidence)
    if t_low < low:
        low -= (low - t_low) / 2
    if t_high > high:
        high += (t_high - high) / 2
    return low, high
