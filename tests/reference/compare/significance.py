"""Twins of the sign-flip test and of Holm's correction, from the papers."""

from fractions import Fraction
from itertools import product

from tests.reference.compare.distributions import bisected, t_above
from tests.reference.compare.intervals import mean_and_error


def sign_flip_p(differences):
    """Fisher 1935, section 21: every pattern of signs, in exact arithmetic.

    Differences are decimal strings, so that what is equal on paper is equal here.
    """
    exact = [Fraction(it) for it in differences]
    patterns = list(product((1, -1), repeat=len(exact)))
    found = abs(sum(exact))
    as_far = 0
    for signs in patterns:
        as_far += abs(sum(sign * it for sign, it in zip(signs, exact, strict=True))) >= found
    return as_far / len(patterns)


def paired_t_p(differences):
    mean, error = mean_and_error(differences)
    return 2 * t_above(abs(mean / error), len(differences) - 1)


def rejected(p, level):
    """Holm 1979: the smallest p against level/k, the next against level/(k−1), until one fails."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    out = set()
    for step, index in enumerate(order):
        if p[index] > level / (len(p) - step):
            break
        out.add(index)
    return out


def holm(p):
    """The corrected p-value is the smallest level at which the procedure rejects; at most 1."""
    corrected = []
    for index in range(len(p)):
        if index in rejected(p, 1.0):
            corrected.append(bisected(lambda level, i=index: i in rejected(p, level), 0.0, 1.0))
        else:
            corrected.append(1.0)
    return corrected


def seeds_to_reach(comparisons, level):
    """Try one seed after the other, with differences that are all positive."""
    seeds = 1
    while sign_flip_p(["1"] * seeds) > level / comparisons:
        seeds += 1
    return seeds
