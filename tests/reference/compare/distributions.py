"""Student's t and the chi distribution from their densities, by Simpson's rule and bisection."""

import math


def simpson(function, start, end, steps=200):
    width = (end - start) / steps
    total = function(start) + function(end)
    for k in range(1, steps):
        total += (4 if k % 2 else 2) * function(start + k * width)
    return total * width / 3


def bisected(rises_above, low, high):
    """Where a statement turns from false to true."""
    for _ in range(40):
        middle = (low + high) / 2
        if rises_above(middle):
            high = middle
        else:
            low = middle
    return (low + high) / 2


def t_above(x, freedom):
    """P(T > x)."""
    front = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)
    if x < 0:
        return 1 - t_above(-x, freedom)
    # With x = √f · tan(angle) the whole tail is an interval.
    return simpson(
        lambda angle: front * math.sqrt(freedom) * math.cos(angle) ** (freedom - 1),
        math.atan(x / math.sqrt(freedom)),
        math.pi / 2,
    )


def t_quantile(share, freedom):
    angle = bisected(
        lambda a: 1 - t_above(math.sqrt(freedom) * math.tan(a), freedom) >= share,
        -math.pi / 2,
        math.pi / 2,
    )
    return math.sqrt(freedom) * math.tan(angle)


def chi_density(s, freedom):
    """Of the root of a chi-squared variable, that is of √f · sd of normal values."""
    return (
        2 ** (1 - freedom / 2) * s ** (freedom - 1) * math.exp(-s * s / 2) / math.gamma(freedom / 2)
    )


def chi_quantile(share, freedom):
    end = math.sqrt(freedom) + 8
    return bisected(lambda s: simpson(lambda r: chi_density(r, freedom), 0.0, s) >= share, 0.0, end)


def normal_above(x):
    return math.erfc(x / math.sqrt(2)) / 2
