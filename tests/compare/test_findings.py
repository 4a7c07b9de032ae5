"""From the values of runs to what a study found."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.compare.findings import Measured, findings
from regard.compare.statistics import Rules, difference, holm, summary
from regard.core.errors import InputError

FIELDS = [
    *("model", "name", "attention", "role", "matched_by", "parameters", "flops", "latency"),
    *(
        "training_time",
        "seeds",
        "values",
        "diverged",
        "summary",
        "against_plain",
        "against_matched",
    ),
    *("finding", "sentence", "on_front", "curves"),
]


def values(gain, *, seeds=range(10), spread=0.001, stream=0):
    """Accuracies that share what a seed does, and have a little of their own."""
    shared = np.random.default_rng(100).normal(0.9, 0.004, 64)
    own = np.random.default_rng(stream).normal(0, spread, 64)
    return {seed: round(float(shared[seed] + gain + own[seed]), 4) for seed in seeds}


def variant(name, gain, role="attention", *, model="net", stream=0, seeds=range(10), **more):
    return Measured(
        model=model,
        name=name,
        attention="none" if role != "attention" else name,
        role=role,
        values=values(gain, seeds=seeds, stream=stream),
        **more,
    )


def study():
    return [
        variant("none", 0.0, "plain", parameters=100, flops=10, latency=1.0, training_time=1.0),
        variant("eca", 0.006, stream=1, matched_by="none", parameters=101, flops=10, latency=1.1),
        variant("se", 0.006, stream=2, matched_by="wide", parameters=120, flops=12, latency=1.2),
        variant("bam", 0.0002, stream=3, matched_by="wide", parameters=120, flops=12),
        variant("wide", 0.0061, "matched", stream=4, parameters=120, flops=13, latency=1.05),
    ]


def by_name(found):
    return {it["name"]: it for it in found}


def test_a_study():
    found = findings(study())
    assert [it["name"] for it in found] == ["none", "eca", "se", "bam", "wide"]
    assert {it["name"]: it["finding"] for it in found} == {
        "none": None,
        "eca": "gain",
        "se": "capacity",
        "bam": "no difference",
        "wide": "gain",
    }
    named = by_name(found)
    assert named["none"]["sentence"].startswith("none, the plain network: ")
    assert named["eca"]["sentence"].endswith("so that the plain network is its match: a gain.")
    assert named["se"]["sentence"].endswith("over the matched one: the gain is capacity.")
    assert named["wide"]["sentence"].endswith("a gain by capacity alone.")


def test_the_fields_are_plain_values():
    found = findings(study())
    assert all(list(it) == FIELDS for it in found)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert by_name(found)["se"]["summary"] == {
        "n": 10,
        **{k: getattr(summary(list(values(0.006, stream=2).values())), k)
           for k in ("mean", "sd", "low", "high")},
    }  # fmt: skip


def test_comparisons_are_paired_and_corrected_in_families():
    measured = study()
    found = by_name(findings(measured))
    of = {it.name: list(it.values.values()) for it in measured}
    names = ("eca", "se", "bam")
    over_plain = [difference(of[name], of["none"]).p for name in names]
    corrected = holm(np.array(over_plain))
    for name, p, raised in zip(names, over_plain, corrected, strict=True):
        assert found[name]["against_plain"]["p"] == p
        assert found[name]["against_plain"]["p_corrected"] == raised
    # Its match is the plain network: it is in the first family alone.
    assert found["eca"]["against_matched"] is None
    beside = [difference(of[name], of["wide"]).p for name in ("se", "bam")]
    assert [found[name]["against_matched"]["p_corrected"] for name in ("se", "bam")] == (
        holm(np.array(beside)).tolist()
    )
    # A baseline is no candidate, and makes it no harder for those.
    wide = found["wide"]["against_plain"]
    assert wide["p_corrected"] == wide["p"]
    assert found["none"]["against_plain"] is found["wide"]["against_matched"] is None


def test_all_networks_of_a_study_are_corrected_together():
    first = [variant("none", 0.0, "plain"), variant("eca", 0.006, stream=1)]
    alone = by_name(findings(first))["eca"]["against_plain"]
    second = [
        variant("none", -0.1, "plain", model="other", stream=5),
        variant("eca", -0.094, model="other", stream=6),
    ]
    both = findings([*first, *second])
    assert [both[1]["against_plain"][key] for key in ("mean", "p")] == [alone["mean"], alone["p"]]
    assert alone["p_corrected"] == alone["p"] == 2 / 1024
    assert [both[i]["against_plain"]["p_corrected"] for i in (1, 3)] == [4 / 1024] * 2
    # Each is compared within its own network: 10 points lie between the two.
    assert both[3]["against_plain"]["mean"] == pytest.approx(0.006, abs=0.001)


def test_only_seeds_that_both_sides_have_are_paired():
    plain = variant("none", 0.0, "plain", seeds=range(12))
    eca = variant("eca", 0.006, stream=1, seeds=range(4, 14))
    found = by_name(findings([plain, eca]))["eca"]
    common = range(4, 12)
    expected = difference([eca.values[s] for s in common], [plain.values[s] for s in common])
    assert found["against_plain"]["n"] == 8
    assert found["against_plain"]["mean"] == expected.mean
    assert found["seeds"] == list(range(4, 14))
    assert found["summary"]["n"] == 10


@settings(max_examples=5)
@given(st.permutations(range(10)))
def test_the_order_of_runs_does_not_matter(order):
    shuffled = [
        Measured(it.model, it.name, it.attention, it.role, it.matched_by,
                 values={seed: it.values[seed] for seed in order})
        for it in study()
    ]  # fmt: skip
    straight = [
        Measured(it.model, it.name, it.attention, it.role, it.matched_by, values=it.values)
        for it in study()
    ]
    assert findings(shuffled) == findings(straight)


def test_with_too_few_seeds_nothing_is_claimed():
    for seeds in (range(1), range(5), range(6)):
        some = [
            variant("none", 0.0, "plain", seeds=seeds),
            variant("eca", 0.05, stream=1, seeds=seeds),
            variant("se", 0.0, stream=2, seeds=seeds),
        ]
        found = by_name(findings(some))
        assert found["eca"]["finding"] == found["se"]["finding"] == "too few seeds"
        assert "at least 7 with 2 variants compared" in found["eca"]["sentence"]
    # Six are enough for one variant.
    assert by_name(findings(some[:2]))["eca"]["finding"] == "gain"


def test_a_variant_without_a_run_counts_and_says_nothing():
    waiting = variant("se", 0.0, seeds=(), matched_by="wide")
    wide = variant("wide", 0.0, "matched", seeds=())
    plain, eca = variant("none", 0.0, "plain"), variant("eca", 0.006, stream=1)
    found = by_name(findings([plain, eca, waiting, wide]))
    assert found["eca"]["against_plain"]["p_corrected"] == 4 / 1024
    assert found["se"]["summary"] == {
        "n": 0, "mean": None, "sd": None, "low": None, "high": None,
    }  # fmt: skip
    assert found["se"]["against_plain"] is found["se"]["against_matched"] is None
    assert found["se"]["finding"] == found["wide"]["finding"] == "too few seeds"
    assert "no seed in common with the plain network" in found["se"]["sentence"]


def test_fewer_seeds_in_one_variant_hold_back_that_one_alone():
    plain = variant("none", 0.0, "plain")
    eca, se = variant("eca", 0.006, stream=1), variant("se", 0.006, stream=2, seeds=range(5))
    found = by_name(findings([plain, eca, se]))
    assert (found["eca"]["finding"], found["se"]["finding"]) == ("gain", "too few seeds")


def test_fronts_are_within_a_network():
    other = [
        variant("none", 0.05, "plain", model="better", parameters=50, flops=5, latency=1.0),
    ]
    found = findings([*study(), *other])
    fronts = {(it["model"], it["name"]): it["on_front"] for it in found}
    # ECA has the same FLOPs, and is better.
    assert fronts["net", "none"] == {
        "parameters": True, "flops": False, "latency": True, "training_time": True,
    }  # fmt: skip
    assert fronts["net", "eca"]["parameters"]
    assert not fronts["net", "bam"]["parameters"]
    assert fronts["net", "bam"]["latency"] is None
    assert fronts["net", "eca"]["training_time"] is None


def test_a_run_that_diverged_is_no_seed_and_takes_the_gain_away():
    plain, eca = variant("none", 0.0, "plain"), variant("eca", 0.006, stream=1)
    stable = by_name(findings([plain, eca]))["eca"]
    lost = replace(eca, values={s: v for s, v in eca.values.items() if s != 3}, diverged=[3])
    found = by_name(findings([plain, lost]))["eca"]
    assert (stable["finding"], found["finding"]) == ("gain", "open")
    assert (found["against_plain"]["n"], found["diverged"]) == (9, [3])
    assert found["against_plain"]["p_corrected"] <= 0.05, "it would be a gain"
    assert found["sentence"].endswith(
        "; 1 of 10 runs diverged: no gain is claimed, because the runs that are left flatter it."
    )
    # The other way round the gain holds: the plain network is flattered, and behind.
    fewer = replace(plain, values={s: v for s, v in plain.values.items() if s != 3}, diverged=[3])
    found = by_name(findings([fewer, eca]))
    assert found["eca"]["finding"] == "gain"
    assert "(of the plain network's 1 of 10)" in found["eca"]["sentence"]
    assert found["none"]["sentence"].endswith("n = 9 seeds; 1 of 10 runs diverged.")


def test_a_matched_baseline_that_diverged_explains_no_gain():
    measured = study()
    wide = replace(
        measured[4], values={s: v for s, v in measured[4].values.items() if s}, diverged=[0]
    )
    found = by_name(findings([*measured[:4], wide]))["se"]
    assert found["finding"] == "open"
    assert found["sentence"].endswith(
        "(of the matched one's 1 of 10): open, because the runs that are left flatter the matched "
        "one."
    )


def test_curves_are_passed_through():
    curves = [[{"epoch": 0, "train_loss": 1.9}], [{"epoch": 0, "train_loss": 2.0}]]
    plain = variant("none", 0.0, "plain", curves=curves)
    assert findings([plain])[0]["curves"] == curves


def test_the_rules_reach_every_finding():
    found = by_name(findings(study(), rules=Rules(margin=0.0002)))
    assert (found["se"]["finding"], found["bam"]["finding"]) == ("open", "open")
    strict = findings(study(), rules=Rules(level=0.001))
    assert {it["finding"] for it in strict if it["role"] == "attention"} == {"too few seeds"}


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (lambda: [variant("eca", 0.0)], "net has no plain variant to compare with"),
        (
            lambda: [variant("none", 0.0, "plain"), variant("as_is", 0.0, "plain")],
            "net has two plain variants, 'none' and 'as_is'; give one",
        ),
        (
            lambda: [variant("none", 0.0, "plain"), variant("none", 0.0)],
            "net has two variants named 'none'; rename one",
        ),
        (
            lambda: [variant("none", 0.0, "plain"), variant("eca", 0.0, matched_by="wide")],
            "the matched baseline 'wide' of 'eca' is not in the study",
        ),
        (
            lambda: [variant("none", 0.0, "plain"), variant("eca", 0.0, matched_by="eca")],
            "the matched baseline 'eca' of 'eca' is itself attention",
        ),
        (lambda: [variant("none", 0.0, "plain", matched_by="x")], "'none' is plain and has the"),
        (
            lambda: [Measured("net", "none", "none", "plain", values={3: 0.5}, diverged=(3,))],
            "'none' at seed 3 has a value and diverged",
        ),
        (
            lambda: [Measured("net", "none", "none", "plain", values={3: math.nan})],
            "the accuracy of 'none' at seed 3 is nan; give a fraction from 0 to 1",
        ),
        (
            lambda: [Measured("net", "none", "none", "plain", values={3: 83.2})],
            "the accuracy of 'none' at seed 3 is 83.2; give a fraction from 0 to 1",
        ),
    ],
)
def test_wrong_input_is_said_in_one_line(measured, message):
    with pytest.raises(InputError, match=message) as caught:
        findings(measured())
    assert "\n" not in str(caught.value)


def test_an_empty_study_has_no_findings():
    assert findings([]) == []
