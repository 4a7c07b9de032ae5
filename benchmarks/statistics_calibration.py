"""Whether the statistics of a study keep what they say, on simulated studies of known effects.

A study has a plain network and eight variants, each with a matched baseline. A value is the
variant's true accuracy, plus what a seed does to all variants alike, plus noise of its own, rounded
to the accuracies that a test set of 10,000 images can show. Noise is normal; heavy-tailed (t with
3 degrees of freedom); skewed (exponential: now and then a seed fails); or lopsided, the worst case:
all noise is the variant's, and skewed, so that the differences are skewed, too.

Counted is how often intervals hold the truth, how often a difference is claimed where there is
none, how often one is found, how often equivalence is claimed wrongly and rightly, what findings
are given, and how far the number of seeds asked for is off.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from regard.compare.intervals import studentised_interval
from regard.compare.sentence import Comparison, kind_of
from regard.compare.statistics import (
    RULES,
    Difference,
    bootstrap_interval,
    equivalence_p,
    holm,
    paired_t_p,
    sd_interval,
    seeds_needed,
    seeds_to_reach,
    sign_flip_p,
    smallest_p,
    t_interval,
)
from regard.train.metrics import wilson_interval
from result import record

SEEDS = (3, 5, 10, 20)
NOISES = ("normal", "heavy_tailed", "skewed", "lopsided")
VARIANTS = 8
POINT = 0.01
SHARED = 0.3 * POINT  # what a seed does to all variants alike
SPREAD = 0.3 * POINT  # standard deviation of a paired difference
IMAGES = 10_000

# What is true of the eight variants of a study: gain over the plain network, and over the match.
TRUTHS = {
    "nothing": (0.0, 0.0),
    "nothing, matched gains": (0.0, -0.5),
    "attention": (0.5, 0.5),
    "capacity": (0.5, 0.0),
    "half of each": (0.5, 0.25),
    "attention, small": (0.2, 0.2),
    "large": (1.0, 1.0),
    "loss": (-0.5, -0.5),
}
# What may be said of them without being wrong, besides `open` and `too few seeds`.
RIGHT = {
    "nothing": {"no difference"},
    "nothing, matched gains": {"no difference"},
    "attention": {"gain"},
    "capacity": {"capacity"},
    "half of each": {"gain"},
    "attention, small": {"gain"},
    "large": {"gain"},
    "loss": {"loss"},
}


def main() -> None:
    """Simulate, count, and write `results/statistics_calibration.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--bootstrapped", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = np.random.default_rng(options.seed)
    figures: dict[str, Any] = {
        "setting": {
            "variants": VARIANTS,
            "sd_of_paired_differences_points": SPREAD / POINT,
            "sd_shared_by_a_seed_points": SHARED / POINT,
            "test_images": IMAGES,
            "level": RULES.level,
            "margin_points": RULES.margin / POINT,
            "seeds_to_reach_the_level": {k: seeds_to_reach(k) for k in (1, VARIANTS)},
        }
    }
    for noise in NOISES:
        for seeds in SEEDS:
            cell = f"{noise}, n = {seeds}"
            figures[cell] = {
                "intervals": intervals(dice, noise, seeds, options.bootstrapped),
                "tests": tests(dice, noise, seeds, options.studies),
                "findings": given(dice, noise, seeds, options.studies // 2),
            }
            print(cell, flush=True)
    figures["power_by_spread"] = [power(dice, *it, options.studies) for it in spreads()]
    figures["seeds_needed"] = [needed(dice, n, options.studies) for n in SEEDS]
    record("statistics_calibration", figures, n=options.studies)


def own(dice: np.random.Generator, noise: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return noise of one variant, of standard deviation 1."""
    if noise == "normal":
        return dice.standard_normal(shape)
    if noise == "heavy_tailed":
        return dice.standard_t(3, shape) / np.sqrt(3)
    return 1.0 - dice.exponential(1.0, shape)


def accuracies(
    dice: np.random.Generator,
    noise: str,
    seeds: int,
    gains: np.ndarray,
    studies: int,
    spread: float = SPREAD,
) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracies of the plain network (study, seed) and of variants (study, variant, seed).

    Args:
        dice: drawn from.
        noise: its kind.
        seeds: how many.
        gains: of the variants over the plain network, which is at 90 %.
        studies: how many.
        spread: standard deviation of a paired difference.

    """
    shared = 0.9 + SHARED * dice.standard_normal((studies, 1, seeds))
    alone = noise == "lopsided"
    each = spread if alone else spread / np.sqrt(2)
    plain = shared + (0.0 if alone else each * own(dice, noise, (studies, 1, seeds)))
    noisy = each * own(dice, noise, (studies, len(gains), seeds))
    variants = shared + gains[:, None] + noisy
    return (np.round(plain[:, 0] * IMAGES) / IMAGES, np.round(variants * IMAGES) / IMAGES)


def paired(dice: np.random.Generator, noise: str, seeds: int, gain: float, studies: int, **k: Any):
    """Return differences to the plain network: (study, variant, seed); all variants gain alike."""
    plain, variants = accuracies(dice, noise, seeds, np.full(VARIANTS, gain), studies, **k)
    return np.round(variants - plain[:, None], 12)


def intervals(dice: np.random.Generator, noise: str, seeds: int, studies: int) -> dict[str, Any]:
    """Return how often 95 % intervals hold the truth, one variant a study."""
    plain, variants = accuracies(dice, noise, seeds, np.array([0.3 * POINT]), studies)
    differences = np.round(variants[:, 0] - plain, 12)
    ends = {"t": t_interval(differences)}
    if seeds >= 5:
        ends["bootstrap"] = bootstrap_interval(differences, draws=1999)
        ends["bootstrap_studentised_alone"] = studentised_interval(differences, draws=1999)
        ends |= bootstrapped_by_scipy(differences, noise)
    figures: dict[str, Any] = {
        f"coverage_{name}": covered(low, high, 0.3 * POINT) for name, (low, high) in ends.items()
    }
    figures["coverage_t_of_a_variant_alone"] = covered(*t_interval(plain), 0.9)
    low, high = ends["t"]
    figures["width_t_points"] = rounded(np.nanmedian(high - low) / POINT)
    if seeds >= 5:
        left, right = ends["bootstrap"]
        figures["width_bootstrap_to_t"] = rounded(np.nanmedian((right - left) / (high - low)))
        figures["no_bootstrap_interval"] = share(np.isnan(left))
    return figures


def bootstrapped_by_scipy(differences: np.ndarray, noise: str) -> Iterator[tuple[str, Any]]:
    """Yield the intervals of the kinds of bootstrap that are not used, and are why."""
    for kind in ("percentile", "BCa"):
        ends = stats.bootstrap(
            (differences,),
            np.mean,
            axis=-1,
            vectorized=True,
            method=kind,
            n_resamples=1999,
            batch=50,
            random_state=np.random.default_rng(NOISES.index(noise)),
        ).confidence_interval
        yield f"bootstrap_{kind}", (ends.low, ends.high)


def tests(dice: np.random.Generator, noise: str, seeds: int, studies: int) -> dict[str, Any]:
    """Return how often tests claim what is false, and what is true."""
    nothing = paired(dice, noise, seeds, 0.0, studies)
    p = sign_flip_p(nothing)
    corrected = holm(p)
    gains = paired(dice, noise, seeds, 0.3 * POINT, studies)
    found = sign_flip_p(gains)
    # One variant gains among seven that do not.
    mixed = np.concatenate([found[:, :1], p[:, 1:]], 1)
    mixed_corrected = holm(mixed)
    at_margin = {
        sign: equivalence_p(paired(dice, noise, seeds, sign * RULES.margin, studies))
        for sign in (1, -1)
    }
    level = RULES.level
    return {
        "smallest_p_after_correction": min(1.0, VARIANTS * smallest_p(seeds)),
        "false_positives_per_comparison": share(p <= level),
        "false_positives_per_comparison_t": share(paired_t_p(nothing) <= level),
        "false_positives_in_a_study_uncorrected": share((p <= level).any(1)),
        "false_positives_in_a_study_holm": share((corrected <= level).any(1)),
        "false_positives_in_a_study_holm_one_gains": share(
            (mixed_corrected <= level)[:, 1:].any(1)
        ),
        "power_0.3_points": share(found <= level),
        "power_0.3_points_t": share(paired_t_p(gains) <= level),
        "power_0.3_points_holm_one_gains": share(mixed_corrected[:, 0] <= level),
        "equivalence_at_+0.2_points": share(at_margin[1] <= level),
        "equivalence_at_-0.2_points": share(at_margin[-1] <= level),
        "equivalence_at_+0.2_points_in_a_study": share((at_margin[1] <= level).any(1)),
        "equivalence_at_0": share(equivalence_p(nothing) <= level),
    }


def given(dice: np.random.Generator, noise: str, seeds: int, studies: int) -> dict[str, Any]:
    """Return what findings are given to variants of which the truth is known."""
    gains = np.array([gain for gain, _ in TRUTHS.values()]) * POINT
    leads = np.array([lead for _, lead in TRUTHS.values()]) * POINT
    both = np.concatenate([gains, gains - leads])
    plain, all_values = accuracies(dice, noise, seeds, both, studies)
    variants, matched = all_values[:, : len(gains)], all_values[:, len(gains) :]
    over_plain = comparisons(np.round(variants - plain[:, None], 12))
    over_matched = comparisons(np.round(variants - matched, 12))
    kinds: dict[str, Counter[str]] = {name: Counter() for name in TRUTHS}
    wrong = Counter[str]()
    for ours, beside in zip(over_plain, over_matched, strict=True):
        errors = set()
        for name, *pair in zip(TRUTHS, ours, beside, strict=True):
            kind = kind_of(*pair)
            kinds[name][kind] += 1
            if kind not in RIGHT[name] | {"open", "too few seeds"}:
                errors.add(kind)
        wrong.update(errors)
        wrong["any"] += bool(errors)
    return {
        "by_truth": {
            name: {kind: rounded(count / studies) for kind, count in counted.most_common()}
            for name, counted in kinds.items()
        },
        "studies_with_a_wrong_finding": {k: rounded(c / studies) for k, c in wrong.most_common()},
    }


def comparisons(differences: np.ndarray) -> Iterator[list[Comparison]]:
    """Yield the comparisons of each study, made of (study, variant, seed) at once."""
    seeds = differences.shape[-1]
    p = sign_flip_p(differences)
    low, high = t_interval(differences)
    columns = (differences.mean(-1), low, high, p, holm(p), equivalence_p(differences))
    smallest = min(1.0, differences.shape[1] * smallest_p(seeds))
    for study in zip(*columns, strict=True):
        yield [
            Comparison(
                Difference(
                    n=seeds,
                    mean=float(mean),
                    low=None if np.isnan(low) else float(low),
                    high=None if np.isnan(high) else float(high),
                    p=float(p),
                    p_corrected=float(corrected),
                    equivalence_p=float(nought),
                    equivalent=bool(nought <= RULES.level),
                ),
                differences.shape[1],
                smallest,
            )
            for mean, low, high, p, corrected, nought in zip(*study, strict=True)
        ]


def spreads() -> Iterator[tuple[float, int]]:
    """Yield standard deviations of differences, in points, and numbers of seeds."""
    for spread in (0.2, 0.3, 0.4):
        for seeds in (10, 20):
            yield spread, seeds


def power(dice: np.random.Generator, spread: float, seeds: int, studies: int) -> dict[str, Any]:
    """Return how often ±0.3 points are found at some spread, and equivalence at none."""
    gains = paired(dice, "normal", seeds, 0.3 * POINT, studies, spread=spread * POINT)
    nothing = paired(dice, "normal", seeds, 0.0, studies, spread=spread * POINT)
    p = sign_flip_p(gains)
    one_gains = np.concatenate([p[:, :1], sign_flip_p(nothing)[:, 1:]], 1)
    return {
        "sd_points": spread,
        "n": seeds,
        "power_0.3_points": share(p <= RULES.level),
        "power_0.3_points_holm_one_gains": share(holm(one_gains)[:, 0] <= RULES.level),
        "equivalence_at_0": share(equivalence_p(nothing) <= RULES.level),
    }


def needed(dice: np.random.Generator, seeds: int, studies: int) -> dict[str, Any]:
    """Return how many seeds are asked for after some, and how many are needed in truth."""
    truth = seeds_needed(SPREAD)
    gains = paired(dice, "normal", truth, RULES.effect, studies)[:, 0]
    pilot = paired(dice, "normal", seeds, 0.0, studies // 4)[:, 0].std(-1, ddof=1)
    pilot = pilot[pilot > 0]
    asked = np.array([seeds_needed(sd) for sd in pilot])
    ends = np.array([[seeds_needed(end) for end in sd_interval(sd, seeds)] for sd in pilot])
    low, median, high = np.quantile(asked, [0.025, 0.5, 0.975]).tolist()
    return {
        "n": seeds,
        "needed_in_truth": truth,
        "power_of_the_t_test_then": share(paired_t_p(gains) <= RULES.level),
        "asked_for_median": median,
        "asked_for_95_percent": [low, high],
        "interval_holds_the_truth": share((ends[:, 0] <= truth) & (truth <= ends[:, 1])),
    }


def covered(low: np.ndarray, high: np.ndarray, truth: float) -> dict[str, Any]:
    """Return how often an interval holds the truth, where there is one."""
    there = ~np.isnan(low)
    return share(((low <= truth) & (truth <= high))[there])


def share(flags: np.ndarray) -> dict[str, Any]:
    """Return a share with its 95 % interval (Wilson), as if all were independent."""
    low, high = wilson_interval(int(flags.sum()), flags.size)
    return {"share": rounded(flags.mean()), "interval": [rounded(low), rounded(high)]}


def rounded(value: float) -> float:
    """Return a figure with as many digits as the simulation gives it."""
    return round(float(value), 4)


if __name__ == "__main__":
    main()
