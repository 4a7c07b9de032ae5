"""Networks that are widened until they cost as much as attention does."""

import pytest

from regard.compare.matched import spelled, with_matches
from regard.compare.run_study import variants_of
from regard.compare.study import Study, plain_and_attending
from regard.compare.task import Networks
from regard.core.errors import InputError
from regard.models.network_word import parse_network


def matched(**changes):
    study = Study("matched", **{"models": ("resnet8",), **changes})
    networks = Networks(study)
    return networks, {variant.name: variant for variant in variants_of(study, networks)}


@pytest.mark.parametrize("what", ["parameters", "flops"])
def test_the_widened_network_costs_as_much_as_attention(what):
    networks, variants = matched(attention=("multi_head", "axial"), match=what)
    cost = networks.counted(what)
    for name in ("multi_head", "axial"):
        match = variants[variants[name].matched_by]
        if match.role == "matched":
            assert match.attention == "none"
            assert cost(match) == pytest.approx(cost(variants[name]), rel=0.02)
        else:
            assert cost(variants[name]) <= 1.02 * cost(match)
    assert "matched" in {variant.role for variant in variants.values()}


def test_attention_that_costs_next_to_nothing_is_matched_by_the_plain_network():
    _, variants = matched(attention=("eca", "simam"))
    assert {variants[name].matched_by for name in ("eca", "simam")} == {"none"}
    assert set(variants) == {"none", "eca", "simam"}


def test_two_that_cost_nearly_the_same_share_a_match():
    _, variants = matched(attention=("multi_head", "linear"), match_tolerance=0.02)
    assert variants["multi_head"].matched_by == variants["linear"].matched_by
    assert [variant.role for variant in variants.values()].count("matched") == 1


def test_no_matches_where_none_are_asked_for():
    _, variants = matched(attention=("multi_head",), match="none")
    assert variants["multi_head"].matched_by is None


def test_an_option_of_whole_numbers_stays_whole():
    networks, variants = matched(models=("textbook_cnn",), attention=("qk_gate",), match="flops")
    name, options = parse_network(variants[variants["qk_gate"].matched_by].network)
    assert name == "textbook_cnn"
    assert isinstance(options["filters"], int)
    assert options["filters"] > 32
    found = networks.counted("flops")
    assert found(variants[spelled(name, options)]) == pytest.approx(
        found(variants["qk_gate"]), rel=0.02
    )


def test_a_network_without_a_width_is_refused_with_the_way_out():
    with pytest.raises(InputError, match=r'no option that widens it.*choose match "none"'):
        matched(models=("vit",), attention=("multi_head",))


def test_the_nearest_width_is_taken_and_not_the_first_that_is_enough():
    def cost(variant):
        if variant.attention == "eca":
            return 8.29
        return parse_network(variant.network)[1]["width"] // 0.25 * 0.25

    study = Study("near", models=("resnet8(width=8)",), attention=("eca",), match_tolerance=0.0)
    found = with_matches(study, plain_and_attending(study, study.models[0]), cost)
    assert cost(found[-1]) == 8.25
    assert found[1].matched_by == found[-1].name


def test_the_plain_network_is_the_match_where_a_wider_one_is_farther_away():
    # One more filter adds 3 %, and the gate 1 %.
    _, variants = matched(models=("textbook_cnn",), attention=("qk_gate",), match_tolerance=0.0)
    assert variants["qk_gate"].matched_by == "none"
    assert set(variants) == {"none", "qk_gate"}
