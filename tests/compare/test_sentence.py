"""Which finding is given when, and how it is said."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.compare.intervals import Summary
from regard.compare.sentence import Comparison, Lost, kind_of, plain_sentence, sentence
from regard.compare.statistics import Difference, Rules
from regard.core.errors import InputError


def compared(mean, low, high, p, *, n=10, equivalent=False, family=8, smallest=0.016, **more):
    """In points, as they are read."""
    ends = [None if it is None else it / 100 for it in (low, high)]
    return Comparison(
        Difference(n, mean / 100, *ends, p_corrected=p, equivalent=equivalent, **more),
        family,
        smallest,
    )


GAIN = compared(0.21, 0.05, 0.37, 0.0156)
LOSS = compared(-0.4, -0.6, -0.2, 0.004)
NOUGHT = compared(0.03, -0.1, 0.16, 0.6, equivalent=True)
UNSURE = compared(0.1, -0.2, 0.4, 0.4)
FEW = compared(0.9, 0.5, 1.3, 0.5, n=5, smallest=0.5)
APART = Comparison(None, 8, 0.016)


def test_the_example():
    beside = compared(0.03, -0.12, 0.18, 0.7, equivalent=True)
    assert sentence("eca", GAIN, beside, match="baseline") == (
        "eca: +0.21 points [0.05, 0.37] over the plain network, n = 10 seeds, p = 0.02 after "
        "correction; +0.03 [−0.12, 0.18] over the matched one: the gain is capacity."
    )


@pytest.mark.parametrize(
    ("plain", "matched", "kind"),
    [
        (GAIN, None, "gain"),
        (GAIN, compared(0.2, 0.05, 0.35, 0.03), "gain"),
        # Not significantly above the matched one …
        (GAIN, compared(0.03, -0.12, 0.18, 0.7), "capacity"),
        (GAIN, compared(-0.1, -0.6, 0.1, 0.7), "capacity"),
        (GAIN, compared(-0.4, -0.6, -0.2, 0.02), "capacity"),
        (GAIN, compared(-0.4, None, None, 0.02), "capacity"),
        # … which is no evidence where the lead may be as large as the gain, or beyond the margin.
        (GAIN, compared(0.1, -0.05, 0.25, 0.1), "open"),
        (compared(0.9, 0.7, 1.1, 0.02), compared(0.1, -0.05, 0.25, 0.1), "open"),
        (compared(0.12, 0.07, 0.17, 0.02), compared(0.05, -0.05, 0.15, 0.3), "open"),
        (GAIN, compared(0.03, None, None, 0.7), "open"),
        (GAIN, compared(0.0, -0.1, 0.1, 0.7, n=5, smallest=0.5), "open"),
        (GAIN, APART, "open"),
        (LOSS, None, "loss"),
        (LOSS, compared(0.5, 0.3, 0.7, 0.02), "loss"),
        (NOUGHT, LOSS, "no difference"),
        (UNSURE, LOSS, "open"),
        (UNSURE, None, "open"),
        (FEW, None, "too few seeds"),
        (FEW, GAIN, "too few seeds"),
        (compared(0.0, -0.1, 0.1, 1.0, equivalent=True, smallest=0.06), None, "too few seeds"),
        (APART, None, "too few seeds"),
    ],
)
def test_the_finding(plain, matched, kind):
    assert kind_of(plain, matched) == kind


def test_the_rules_decide():
    assert kind_of(GAIN, None, rules=Rules(level=0.01)) == "too few seeds"
    few = compared(0.21, 0.05, 0.37, 0.0156, smallest=0.001)
    assert kind_of(few, None, rules=Rules(level=0.01)) == "open"
    lead = compared(0.03, -0.12, 0.18, 0.7)
    assert kind_of(GAIN, lead, rules=Rules(margin=0.001)) == "open"


means = st.floats(-2, 2)
widths = st.floats(0.01, 2)
chances = st.floats(0.001, 1)


@settings(max_examples=60)
@given(means, widths, chances, means, widths, chances)
def test_nothing_is_claimed_that_the_figures_do_not_bear(mean, width, p, lead, reach, q):
    plain = compared(mean, mean - width, mean + width, p)
    matched = compared(lead, lead - reach, lead + reach, q)
    kind = kind_of(plain, matched)
    if kind in ("gain", "capacity"):
        assert p <= 0.05
        assert mean > 0
    if kind == "gain":
        assert q <= 0.05
        assert lead > 0
    if kind == "capacity":
        assert lead + reach < min(mean, 0.2 + 1e-9) or (q <= 0.05 and lead < 0)
    if kind == "loss":
        assert p <= 0.05
        assert mean < 0
    # The other way round, a gain is a loss.
    mirrored = kind_of(compared(-mean, -mean - width, width - mean, p), None)
    assert (kind == "loss") == (mirrored == "gain")


@pytest.mark.parametrize(
    ("plain", "matched", "match", "ending"),
    [
        (
            GAIN,
            compared(0.2, 0.05, 0.35, 0.03),
            "baseline",
            "; +0.20 [0.05, 0.35] over the matched one, p = 0.03 after correction: "
            "a gain beyond capacity.",
        ),
        (
            GAIN,
            compared(0.1, -0.05, 0.25, 0.1),
            "baseline",
            "over the matched one: a gain; whether it is capacity is open.",
        ),
        (
            GAIN,
            compared(-0.4, -0.6, -0.2, 0.02),
            "baseline",
            "; −0.40 [−0.60, −0.20] against the matched one, p = 0.02 after correction: "
            "the gain is capacity, and the matched one gains more.",
        ),
        (GAIN, APART, "baseline", "; no seed in common with the matched one: a gain; "
         "whether it is capacity is open."),
        (GAIN, compared(0.0, -0.1, 0.1, 0.9, n=7), "baseline",
         "; 0.00 [−0.10, 0.10] over the matched one, n = 7 seeds: the gain is capacity."),
        (GAIN, None, "plain", ", p = 0.02 after correction; it adds next to nothing, so that the "
         "plain network is its match: a gain."),
        (GAIN, None, "none", ": a gain, which may be capacity: no matched baseline was trained."),
        (GAIN, None, "itself", ": a gain by capacity alone."),
        (compared(0.08, 0.05, 0.11, 0.004, equivalent=True), None, "plain",
         ": a gain, smaller than 0.20 points."),
        (LOSS, None, "none", "x: −0.40 points [−0.60, −0.20] against the plain network, "
         "n = 10 seeds, p = 0.004 after correction: a loss."),
        (NOUGHT, None, "none", "p = 0.60 after correction: no difference beyond ±0.20 points."),
        (UNSURE, None, "none", "p = 0.40 after correction: open."),
        (FEW, None, "none", "over the plain network, n = 5 seeds: too few seeds for a finding, "
         "which takes at least 9 with 8 variants compared."),
        (APART, None, "none", "x: no seed in common with the plain network: too few seeds for a "
         "finding, which takes at least 9 with 8 variants compared."),
        (compared(0.3, None, None, 1.0, n=1, family=1, smallest=1.0), None, "none",
         "x: +0.30 points over the plain network, n = 1 seed: too few seeds for a finding, "
         "which takes at least 6."),
    ],
)  # fmt: skip
def test_what_is_said(plain, matched, match, ending):
    assert sentence("x", plain, matched, match=match).endswith(ending)


LOST = Lost(1, 10)


@pytest.mark.parametrize(
    ("kind", "plain", "matched", "ours", "plains", "matches"),
    [
        # What each kind becomes where the variant, the plain network, or the match lost a run.
        ("gain", GAIN, None, "open", "gain", "gain"),
        ("gain", GAIN, compared(0.2, 0.05, 0.35, 0.03), "open", "gain", "gain"),
        ("capacity", GAIN, compared(-0.4, -0.6, -0.2, 0.02), "open", "capacity", "open"),
        ("loss", LOSS, UNSURE, "loss", "open", "loss"),
        ("no difference", NOUGHT, LOSS, "open", "open", "no difference"),
        ("open", UNSURE, LOSS, "open", "open", "open"),
        ("too few seeds", FEW, GAIN, "too few seeds", "too few seeds", "too few seeds"),
    ],
)
def test_a_run_that_diverged_counts_against_its_side(kind, plain, matched, ours, plains, matches):
    assert kind_of(plain, matched) == kind
    beside = matched and replace(matched, lost=LOST)
    assert kind_of(replace(plain, lost=LOST), beside) == ours
    assert kind_of(replace(plain, baseline_lost=LOST), matched) == plains
    assert kind_of(plain, matched and replace(matched, baseline_lost=LOST)) == matches


def test_a_gain_that_may_be_capacity_is_not_claimed_either():
    beside = compared(0.1, -0.05, 0.25, 0.1)
    assert sentence("x", GAIN, beside, match="baseline").endswith(
        ": a gain; whether it is capacity is open."
    )
    assert sentence("x", replace(GAIN, lost=LOST), beside, match="baseline").endswith(
        ": no gain is claimed, because the runs that are left flatter it."
    )


def test_the_share_of_runs_that_diverged_is_said():
    for kept in (GAIN, LOSS, NOUGHT, UNSURE, FEW, APART):
        assert "; 1 of 10 runs diverged: " in sentence("x", replace(kept, lost=LOST))
        assert "diverged" not in sentence("x", kept)
    said = sentence("x", replace(LOSS, baseline_lost=LOST, lost=Lost(0, 10)))
    assert said.endswith(
        "; 0 of 10 runs diverged (of the plain network's 1 of 10): no loss is claimed, because "
        "the runs that are left flatter the plain network."
    )
    assert sentence("x", replace(LOSS, lost=LOST)).endswith(": a loss.")


def test_an_open_question_says_how_many_seeds_would_tell():
    wanted = {"seeds_needed": 24, "seeds_needed_low": 12, "seeds_needed_high": 1203}
    said = sentence("x", compared(0.1, -0.2, 0.4, 0.4, **wanted))
    assert said.endswith(
        ": open; to see 0.30 points in one variant alone takes about 24 seeds (12 to 1,203)."
    )
    enough = sentence("x", compared(0.1, -0.2, 0.4, 0.4, n=24, **wanted))
    assert enough.endswith(": open.")


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.62, "p = 0.62 after"),
        (0.0508, "p = 0.051 after"),
        (0.05004, "p = 0.05004 after"),
        (0.05, "p = 0.05 after"),
        (0.0496, "p = 0.0496 after"),
        (0.0469, "p = 0.047 after"),
        (0.0078, "p = 0.008 after"),
        (0.00042, "p < 0.001 after"),
        (1.0, "p = 1.00 after"),
    ],
)
def test_a_p_value_shows_on_which_side_of_the_level_it_lies(p, said):
    text = sentence("x", compared(0.1, 0.0, 0.2, p))
    assert said in text


def test_one_variant_alone_is_not_corrected():
    said = sentence("x", compared(0.2, 0.1, 0.3, 0.03, family=1))
    assert "p = 0.03: a gain" in said


def test_rounding_leaves_no_negative_nought():
    said = sentence("x", compared(-0.001, -0.004, 0.004, 0.9, equivalent=True))
    assert said.startswith("x: 0.00 points [0.00, 0.00] over the plain network")


def test_the_plain_network():
    found = Summary(5, 0.8321, 0.002, 0.8296, 0.8346)
    assert plain_sentence("none", found) == (
        "none, the plain network: 83.21 % [82.96, 83.46], n = 5 seeds."
    )
    assert plain_sentence("none", Summary(1, 0.8)) == (
        "none, the plain network: 80.00 %, n = 1 seed."
    )
    assert plain_sentence("none", Summary(0)) == "none, the plain network: no finished run."


def test_too_many_variants_for_any_number_of_seeds():
    with pytest.raises(InputError, match="compare at most 3276 variants at once"):
        sentence("x", compared(0.1, 0.0, 0.2, 1.0, family=5000, smallest=1.0))
