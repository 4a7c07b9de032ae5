"""Whether a difference is more than chance: exact test, t test, and many comparisons at once."""

import numpy as np
from jaxtyping import Float

from regard.compare.intervals import Numbers, Seeds, standard_error
from regard.core.errors import InputError
from regard.core.seeding import generator

EXACT_UP_TO = 16  # seeds; beyond, patterns of signs are drawn
DRAWN = 2**16 - 1

_STREAM = 620
# Sums that are equal on paper differ by rounding. The accuracies of a test set of 10,000 images
# are 1e-4 apart.
_TIE = 1e-9
_HELD = 2_000_000  # means of patterns at a time


def sign_flip_p(differences: Seeds, *, seed: int = 0) -> Numbers:
    """Return the two-sided p-value of the sign-flip permutation test for paired differences.

    Fisher 1935, "The Design of Experiments", section 21. If the two sides do not differ, a
    difference could as well have had the other sign. p is the share of all patterns of signs
    under which the mean lies at least as far from nought as it does. It is exact: for differences
    that are symmetric about nought, at whatever spread or shape, p ≤ α in at most α of cases.

    Beyond 16 seeds the patterns are drawn, and p is (found + 1) / (drawn + 1): Phipson & Smyth
    2010 (arXiv 1603.05766); without the ones it could be nought, which no exact p-value is.

    Args:
        differences: of one seed each, finite; at least one.
        seed: of the patterns drawn.

    """
    seeds = differences.shape[-1]
    if not seeds:
        raise InputError("no differences to test; give at least one paired seed")
    exact = seeds <= EXACT_UP_TO
    signs = _all_signs(seeds) if exact else _drawn_signs(seeds, seed)
    rows = differences.reshape(-1, seeds)
    far = np.abs(rows.sum(1)) - _TIE * np.abs(rows).sum(1)
    found = np.empty(len(rows))
    step = max(1, _HELD // len(signs))
    for some in (slice(start, start + step) for start in range(0, len(rows), step)):
        found[some] = (np.abs(signs @ rows[some].T) >= far[some]).sum(0)
    p = found / len(signs) if exact else (found + 1) / (len(signs) + 1)
    return np.asarray(p.reshape(differences.shape[:-1]), dtype=np.float64)


def _all_signs(seeds: int) -> Float[np.ndarray, "pattern seed"]:
    # One seed stays as it is: a pattern and its opposite lie equally far from nought.
    patterns = np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds)
    return 1.0 - 2.0 * (patterns & 1)


def _drawn_signs(seeds: int, seed: int) -> Float[np.ndarray, "pattern seed"]:
    import torch

    dice = generator(seed, _STREAM, seeds)
    return 1.0 - 2.0 * torch.randint(2, (DRAWN, seeds), generator=dice).numpy()


def smallest_p(seeds: int) -> float:
    """Return the smallest p-value that the sign-flip test can have: all differences of one sign."""
    return 1.0 if seeds < 1 else 2.0 ** (1 - min(seeds, EXACT_UP_TO + 1))


def seeds_to_reach(comparisons: int, *, level: float = 0.05) -> int:
    """Return how many seeds the sign-flip test needs to reach a level after Holm's correction.

    With fewer, no difference between variants can be significant, however large it is.

    Args:
        comparisons: corrected for together.
        level: of all of them together, above 0.

    """
    if comparisons < 1:
        raise InputError(f"comparisons is {comparisons}; give at least 1")
    for seeds in range(1, EXACT_UP_TO + 2):
        if comparisons * smallest_p(seeds) <= level:
            return seeds
    raise InputError(
        f"no number of seeds reaches {level} after correction for {comparisons} comparisons; "
        f"compare at most {int(level / smallest_p(EXACT_UP_TO + 1))} variants at once"
    )


def paired_t_p(differences: Seeds) -> Numbers:
    """Return the two-sided p-value of the paired t test (Student 1908).

    Exact for normal differences. NaN for one seed, or where all differences are alike.
    """
    from scipy.stats import t  # slow to import

    ratio = differences.mean(-1) / standard_error(differences)
    return np.asarray(2 * t.sf(np.abs(ratio), max(1, differences.shape[-1] - 1)))


def holm(p: Float[np.ndarray, "*study comparison"]) -> Float[np.ndarray, "*study comparison"]:
    """Return p-values corrected for there being several.

    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure". If all that are at most
    α are called significant, the chance that any one of them is so wrongly is at most α, whatever
    is true of the others and however they depend on each other.

    Args:
        p: from 0 to 1; those of one study in the last axis.

    """
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"p-values lie between 0 and 1; got {p[~((p >= 0) & (p <= 1))][0]}")
    order = p.argsort(-1, kind="stable")
    left = np.arange(p.shape[-1], 0, -1)
    raised = np.minimum(1.0, np.maximum.accumulate(np.take_along_axis(p, order, -1) * left, -1))
    corrected = np.empty_like(raised)
    np.put_along_axis(corrected, order, raised, -1)
    return corrected
