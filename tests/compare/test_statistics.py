"""The statistics of a study against their twins, what they must not depend on, and their errors."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.compare import equivalence, intervals, pareto, power, significance

from regard.compare.intervals import FEWEST, studentised_interval
from regard.compare.statistics import (
    Rules,
    Summary,
    bootstrap_interval,
    difference,
    effect_size,
    equivalence_p,
    holm,
    paired_t_p,
    pareto_front,
    sd_interval,
    seeds_needed,
    seeds_to_reach,
    sign_flip_p,
    smallest_p,
    summary,
    t_interval,
    t_test_power,
)
from regard.core.errors import InputError
from regard.show.study_page import ABOUT_BOOTSTRAP

SAMPLES = [
    [0.0021, -0.0013],
    [0.0021, -0.0004, 0.0033],
    [0.0005, 0.0041, 0.0012, -0.0007, 0.0029],
    [0.0010, 0.0020, -0.0010, 0.0020, 0.0060, 0.0000, 0.0031, -0.0042, 0.0007],
]
# Differences as a test set of 10,000 images gives them, some of them equal.
images = st.lists(st.integers(-120, 120), min_size=2, max_size=9)


def fractions(counts):
    return np.array(counts) / 10_000


@pytest.mark.parametrize("values", SAMPLES)
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_the_t_interval_is_students(values, confidence):
    found = t_interval(np.array(values), confidence=confidence)
    assert found == pytest.approx(intervals.t_interval(values, confidence), abs=1e-9)


def test_a_variant_over_its_seeds():
    found = summary([0.90, 0.91, 0.95])
    low, high = intervals.t_interval([0.90, 0.91, 0.95], 0.95)
    assert (found.n, found.mean) == (3, pytest.approx(0.92))
    assert found.sd == pytest.approx(math.sqrt((0.02**2 + 0.01**2 + 0.03**2) / 2))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_without_spread_there_is_no_interval():
    assert summary([]) == Summary(0)
    assert summary([0.9]) == Summary(1, 0.9)
    alike = summary([0.1, 0.1, 0.1])
    assert (alike.n, alike.sd, alike.low, alike.high) == (3, 0.0, None, None)
    assert alike.mean == pytest.approx(0.1)


@pytest.mark.parametrize("confidence", [0.9, 0.8])
def test_the_bootstrap_interval_is_that_of_all_samples(confidence):
    values = [0.31, -1.2, 0.93, 2.4, 0.1]
    # Drawn at random, near the ends; the twin counts all 3125 samples.
    alone = studentised_interval(np.array(values), draws=60_000, confidence=confidence)
    assert alone == pytest.approx(intervals.bootstrap_t(values, confidence), rel=0.05)
    found = bootstrap_interval(np.array(values), draws=60_000, confidence=confidence)
    assert found == pytest.approx(intervals.widened_bootstrap_t(values, confidence), rel=0.05)


def test_the_bootstrap_interval_goes_halfway_to_the_t_interval_only_where_that_reaches_further():
    # A seed that failed: below it is the bootstrap that reaches further, above the t interval.
    values = np.array([0.3, 0.1, 0.2, 0.1, 0.3, 0.2, 0.3, -2.5])
    low, high = bootstrap_interval(values)
    t_low, t_high = t_interval(values)
    alone_low, alone_high = studentised_interval(values)
    assert low == alone_low < t_low
    assert alone_high < high < t_high
    assert high == pytest.approx((alone_high + t_high) / 2)


def test_the_bootstrap_interval_leans_where_the_values_do():
    values = np.array([0.0, 0.1, 0.2, 0.1, 0.3, 0.2, 0.0, 3.0])
    low, high = studentised_interval(values)
    assert high - values.mean() > 2 * (values.mean() - low)
    mirrored = studentised_interval(-values)
    assert mirrored == pytest.approx((-high, -low), rel=0.15)


CALIBRATED = Path(__file__).parents[2] / "benchmarks" / "results" / "statistics_calibration.json"


def test_the_bootstrap_is_given_and_told_as_it_was_calibrated():
    figures = json.loads(CALIBRATED.read_text())["figures"]
    covered = {
        seeds: [
            figures[f"{noise}, n = {seeds}"]["intervals"]["coverage_bootstrap"]["share"]
            for noise in ("normal", "heavy_tailed", "skewed", "lopsided")
        ]
        for seeds in (5, 10, 20)
    }
    assert min(covered) == FEWEST
    every = [share for shares in covered.values() for share in shares]
    assert min(every) >= 0.93
    assert max(every) <= 0.97
    low, high = (round(100 * end(every)) for end in (min, max))
    assert f"holds the truth in {low} to {high} %" in ABOUT_BOOTSTRAP


def test_the_bootstrap_has_no_interval_where_a_sample_of_one_value_is_likely():
    assert np.isnan(bootstrap_interval(np.array([0.1, 0.4, 0.2, 0.9]))).all()
    assert np.isnan(bootstrap_interval(np.array([0.1, 0.1, 0.1, 0.1, 0.2]))).all()
    assert np.isnan(bootstrap_interval(np.full(12, 0.1))).all()


def test_rows_at_once_are_as_one_by_one():
    rows = np.random.default_rng(0).normal(0, 1, (2, 3, 7))
    for name in (bootstrap_interval, t_interval, sign_flip_p, paired_t_p):
        together = np.array(name(rows))
        alone = np.array([[name(row) for row in some] for some in rows])
        assert np.allclose(together, np.moveaxis(alone, -1, 0) if together.ndim == 3 else alone)


@settings(max_examples=30)
@given(images)
def test_the_sign_flip_p_counts_every_pattern(counts):
    exact = significance.sign_flip_p([f"{count}e-4" for count in counts])
    assert sign_flip_p(fractions(counts)) == exact


def test_equal_means_of_different_patterns_count_though_rounding_parts_them():
    # 0.1 + 0.2 is not 0.3 in binary: the pattern (+, +, −) is as far from nought as (−, −, +).
    assert sign_flip_p(np.array([0.1, 0.2, -0.3, 0.6])) == significance.sign_flip_p(
        ["0.1", "0.2", "-0.3", "0.6"]
    )


@settings(max_examples=30)
@given(images, st.randoms(use_true_random=False))
def test_p_values_depend_on_neither_sign_nor_order_nor_scale(counts, dice):
    values = fractions(counts)
    shuffled = list(counts)
    dice.shuffle(shuffled)
    for p_value in (sign_flip_p, paired_t_p, lambda d: equivalence_p(d, margin=0.002)):
        expected = p_value(values)
        assert p_value(-values) == pytest.approx(expected, nan_ok=True)
        assert p_value(fractions(shuffled)) == pytest.approx(expected, nan_ok=True)
    for p_value in (sign_flip_p, paired_t_p):
        assert p_value(7 * values) == pytest.approx(p_value(values), nan_ok=True)


def test_beyond_16_seeds_patterns_are_drawn_and_nought_is_never_reached():
    values = np.random.default_rng(3).normal(0.4, 1, 17)
    drawn = sign_flip_p(values, seed=1)
    signs = np.sign(np.random.default_rng(4).random((200_000, 17)) - 0.5)
    assert drawn == pytest.approx(np.mean(abs(signs @ values) >= abs(values.sum())), abs=0.01)
    assert sign_flip_p(values, seed=1) == drawn
    assert sign_flip_p(values, seed=2) != drawn
    assert sign_flip_p(np.full(30, 0.1) + np.arange(30) / 1e4) == smallest_p(30) == 2**-16


@pytest.mark.parametrize("seeds", [1, 2, 5, 9])
def test_the_smallest_p_is_that_of_one_sign(seeds):
    assert smallest_p(seeds) == significance.sign_flip_p(["1"] * seeds)
    assert sign_flip_p(np.linspace(0.01, 0.02, seeds)) == smallest_p(seeds)


@pytest.mark.parametrize(("comparisons", "level"), [(1, 0.05), (8, 0.05), (10, 0.05), (3, 0.1)])
def test_seeds_to_reach_the_level(comparisons, level):
    expected = significance.seeds_to_reach(comparisons, level)
    assert seeds_to_reach(comparisons, level=level) == expected
    for seeds, reached in ((expected, True), (expected - 1, False)):
        corrected = holm(np.full(comparisons, smallest_p(seeds)))
        assert (corrected.min() <= level) == reached


@pytest.mark.parametrize("values", SAMPLES)
def test_the_paired_t_test(values):
    assert paired_t_p(np.array(values)) == pytest.approx(significance.paired_t_p(values), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
@settings(max_examples=50)
def test_holm_is_the_smallest_level_at_which_the_procedure_rejects(p):
    assert holm(np.array(p)) == pytest.approx(significance.holm(p), abs=1e-9)


def test_holm_corrects_each_study_alone():
    p = np.array([[0.01, 0.04], [0.03, 0.5]])
    assert holm(p) == pytest.approx(np.array([[0.02, 0.04], [0.06, 0.5]]))


@pytest.mark.parametrize("values", SAMPLES)
@pytest.mark.parametrize("margin", [0.002, 0.006])
def test_equivalence_is_the_interval_within_the_margins(values, margin):
    found = equivalence_p(np.array(values), margin=margin)
    assert found == pytest.approx(equivalence.equivalence_p(values, margin), abs=1e-7)


@pytest.mark.parametrize("freedom", [2, 4, 9, 30])
def test_hedges_factor_makes_the_effect_size_unbiased(freedom):
    values = np.random.default_rng(0).normal(0.5, 1, freedom + 1)
    cohen = values.mean() / values.std(ddof=1)
    assert effect_size(values) == pytest.approx(cohen * power.hedges(freedom), rel=1e-6)


def test_effect_sizes_that_cannot_be_told():
    assert effect_size(np.array([0.1, 0.2])) is None
    assert effect_size(np.array([0.1, 0.1, 0.1])) is None


@pytest.mark.parametrize(
    ("seeds", "effect", "sd"), [(2, 0.3, 0.3), (5, 0.3, 0.3), (5, 0.3, 2.0), (12, 0.3, 0.4)]
)
def test_power_is_that_over_all_spreads(seeds, effect, sd):
    found = t_test_power(seeds, effect, sd, level=0.05)
    assert found == pytest.approx(power.power(seeds, effect, sd, 0.05), abs=1e-6)
    assert t_test_power(seeds, -effect, sd) == found


@pytest.mark.parametrize("ratio", [4.0, 4.4, 5.5, 27.0, 100.0])
def test_power_is_a_number_where_the_effect_dwarfs_the_spread(ratio):
    # Among these, scipy's tail on the wrong side is NaN.
    expected = power.power(2, ratio, 1.0, 0.05)
    assert t_test_power(2, ratio, 1.0) == pytest.approx(expected, abs=1e-5)
    assert t_test_power(2, 1e9, 1.0) == pytest.approx(1)


@pytest.mark.parametrize("sd", [0.0003, 0.002, 0.003, 0.004])
def test_seeds_needed_are_the_fewest_with_the_power(sd):
    assert seeds_needed(sd) == power.seeds_needed(sd, 0.003, 0.8, 0.05)


@given(st.floats(1e-4, 0.02), st.floats(1.01, 3))
@settings(max_examples=20)
def test_more_spread_needs_more_seeds(sd, by):
    assert seeds_needed(sd) <= seeds_needed(by * sd)
    assert seeds_needed(sd, effect=0.003) == seeds_needed(by * sd, effect=by * 0.003)


@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_how_far_a_spread_of_few_seeds_may_be_off(seeds):
    assert sd_interval(0.3, seeds) == pytest.approx(power.sd_interval(0.3, seeds, 0.95), rel=1e-6)


points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=9)


@settings(max_examples=40)
@given(points)
def test_the_front_is_what_a_sweep_finds(given_points):
    assert pareto_front(given_points) == pareto.pareto_front(given_points)


def test_what_was_not_measured_is_neither_on_the_front_nor_off_it():
    assert pareto_front([(0.9, 1), (0.95, None), (None, 0), (0.8, 1)]) == [True, None, None, False]


def test_a_difference_has_every_figure():
    ours = [0.9021, 0.8975, 0.9040, 0.9002, 0.9033, 0.8999]
    theirs = [0.9000, 0.8980, 0.9011, 0.8990, 0.9005, 0.8998]
    paired = [0.0021, -0.0005, 0.0029, 0.0012, 0.0028, 0.0001]
    found = difference(ours, theirs)
    assert found.n == 6
    assert found.mean == pytest.approx(sum(paired) / 6)
    assert (found.low, found.high) == pytest.approx(intervals.t_interval(paired, 0.95))
    ends = np.array(bootstrap_interval(np.array(paired)))
    assert (found.bootstrap_low, found.bootstrap_high) == pytest.approx(ends)
    assert found.p == significance.sign_flip_p([f"{it:.4f}" for it in paired])
    assert found.p_corrected is None
    assert found.p_t == pytest.approx(significance.paired_t_p(paired))
    assert found.equivalence_p == pytest.approx(equivalence.equivalence_p(paired, 0.002))
    assert found.effect_size == pytest.approx(effect_size(np.array(paired)))
    sd = np.std(paired, ddof=1)
    ends = power.sd_interval(sd, 6, 0.95)
    assert (found.seeds_needed_low, found.seeds_needed, found.seeds_needed_high) == tuple(
        power.seeds_needed(guess, 0.003, 0.8, 0.05) for guess in (ends[0], sd, ends[1])
    )


@settings(max_examples=20)
@given(images, st.integers(0, 3000))
def test_what_a_seed_does_to_both_sides_is_no_difference(counts, lift):
    baseline = np.arange(len(counts)) / 100
    first = difference((fractions(counts) + baseline).tolist(), baseline.tolist())
    lifted = baseline + lift / 10_000
    second = difference((fractions(counts) + lifted).tolist(), lifted.tolist())
    assert (first.p, first.n, first.seeds_needed) == (second.p, second.n, second.seeds_needed)
    assert first.mean == pytest.approx(second.mean, abs=1e-12)
    assert (first.low, first.p_t) == pytest.approx((second.low, second.p_t), abs=1e-9)


def test_equivalence_goes_by_the_rules():
    ours, theirs = [0.901, 0.902, 0.9012, 0.9021], [0.9, 0.901, 0.9, 0.901]
    assert difference(ours, theirs).equivalent
    assert not difference(ours, theirs, rules=Rules(margin=0.001)).equivalent
    assert not difference(ours, theirs, rules=Rules(level=1e-5)).equivalent


def test_one_seed_and_seeds_that_are_alike_claim_nothing_of_their_spread():
    for found in (difference([0.9], [0.8]), difference([0.9, 0.7, 0.4], [0.8, 0.6, 0.3])):
        assert found.mean == pytest.approx(0.1)
        assert (found.low, found.high, found.bootstrap_low, found.effect_size) == (None,) * 4
        assert (found.p_t, found.equivalence_p, found.seeds_needed) == (None,) * 3
        assert not found.equivalent
        assert found.p == smallest_p(found.n)
    assert difference([0.9, 0.7], [0.9, 0.7]).p == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: summary([0.9, math.nan]), r"values\[1\] is nan; give finite numbers"),
        (lambda: difference([0.9, math.inf], [0.9, 0.8]), r"values\[1\] is inf"),
        (lambda: difference([0.9], [0.9, 0.8]), "1 values against 2 of the baseline"),
        (lambda: difference([], []), "no seed to compare by"),
        (lambda: sign_flip_p(np.zeros((3, 0))), "no differences to test"),
        (lambda: holm(np.array([0.1, math.nan])), "p-values lie between 0 and 1; got nan"),
        (lambda: seeds_to_reach(0), "comparisons is 0; give at least 1"),
        (lambda: seeds_to_reach(4000), "compare at most 3276 variants at once"),
        (lambda: equivalence_p(np.zeros(3), margin=0.0), "margin of equivalence is 0.0"),
        (lambda: seeds_needed(0.0), "standard deviation is 0.0"),
        (lambda: seeds_needed(0.1, effect=0.0), "difference to be seen is 0.0"),
        (lambda: seeds_needed(0.1, power=0.04), "the power is 0.04"),
        (lambda: sd_interval(0.1, 1), "1 seeds have no standard deviation"),
        (lambda: Rules(level=1.5), "level is 1.5; give a number between 0 and 1"),
        (lambda: Rules(margin=0.0), "margin is 0.0; give a fraction"),
    ],
)
def test_wrong_input_is_said_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
