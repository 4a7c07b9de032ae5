"""Numbers of a study are rounded once, and say so where there is none."""

import pytest
from tests.show import studies

from regard.show import study_words as words

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0021, "+0.21"),
        (-0.00349, "−0.35"),
        (0.00004, "0.00"),
        (-0.00004, "0.00"),
        (0.0, "0.00"),
        (-0.0723, "−7.23"),
        (None, "–"),
        (NAN, "–"),
    ],
)
def test_points_have_a_sign_that_is_no_hyphen(share, said):
    assert words.points(share) == said


def test_a_difference_has_its_interval_where_there_is_one():
    found = studies.difference([0.83], [0.82])
    assert words.difference(found) == "+1.00"
    found |= {"low": -0.0012, "high": 0.0018, "mean": 0.0003}
    assert words.difference(found) == "+0.03 [−0.12, 0.18]"
    assert words.difference(None) == words.difference(found | {"mean": NAN}) == "–"
    assert words.difference(found | {"high": INF}) == "+0.03"


def test_an_accuracy_is_in_per_cent():
    found = {"n": 5, "mean": 0.83214, "sd": 0.002, "low": 0.82976, "high": 0.83452}
    assert words.accuracy(found) == "83.21 % [82.98, 83.45]"
    assert words.accuracy(found | {"low": None, "high": None}) == "83.21 %"
    assert words.accuracy(found | {"mean": None}) == words.accuracy(None) == "–"


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0625, "0.0625"), (0.5, "0.5"), (1.0, "1"), (1e-9, "< 0.001"), (0.0123456, "0.0123"),
     (None, "–")],
)  # fmt: skip
def test_a_p_value_is_never_zero(value, said):
    assert words.probability(value) == said


def test_costs_have_their_units():
    assert words.cost("parameters", 78042) == "78,042"
    assert words.cost("flops", 12_512_000) == "12.5 M"
    assert words.cost("flops", 812) == "812"
    assert words.cost("latency", 1.084) == words.cost("training_time", 1.084) == "1.08×"
    assert words.cost("latency", None) == "–"


def test_names_have_their_network_where_there_are_several():
    one = studies.variant("eca", "attention", [0.8])
    assert words.names([one, one]) == ["eca", "eca"]
    assert words.names([one, one | {"model": "resnet20"}]) == ["resnet8 · eca", "resnet20 · eca"]


def test_differences_are_paired_by_seed_and_not_by_place():
    one = studies.variant("eca", "attention", [0.9, 0.8, 0.7], seeds=[3, 1, 2])
    other = studies.variant("none", "plain", [0.1, 0.2, 0.4], seeds=[1, 2, 4])
    assert words.seed_differences(one, other) == pytest.approx([0.7, 0.5])
    assert words.seed_differences(one, None) == []


def test_baselines_are_of_the_same_network_and_are_baselines():
    variants = studies.network() + studies.network("resnet20")
    eca, cbam = variants[2], variants[3]
    later = variants[len(variants) // 2 + 3]
    assert words.plain_of(cbam, variants) is variants[0]
    assert words.plain_of(later, variants) is variants[len(variants) // 2]
    assert words.matched_of(cbam, variants) is variants[len(variants) // 2 - 1]
    assert words.matched_of(later, variants) is variants[-1]
    assert words.matched_of(eca, variants) is None, "the plain network is"
    liar = studies.variant("none", "attention", [0.8], matched_by="none")
    assert words.matched_of(liar, [liar]) is None


def test_findings_have_marks_of_their_own():
    marks = [words.finding_mark(finding) for finding in words.FINDINGS]
    assert len({mark.symbol for mark in marks}) == len(marks)
    assert words.finding_mark(None) is None
    assert words.finding_mark("new").word == "new"


def test_what_a_variant_is_there_for_is_said():
    variants = studies.network(mechanisms=("squeeze_excite", "eca"))
    assert [words.role(variant, variants) for variant in variants] == [
        "the plain network",
        "matched by resnet8(widths=(17, 33, 65))",
        "matched by the plain network",
        "a matched baseline",
    ]
    assert words.role(variants[1] | {"matched_by": None}, variants) == ""
