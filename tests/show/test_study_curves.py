"""Learning curves are means of seeds, with the lowest and the highest beside them."""

import re

import numpy as np
import pytest
from matplotlib.text import Text
from tests.show import studies

from regard.show.study_curves import caption, curve, curves, figure, quantity_of


def kept(*seeds, name="validation_accuracy"):
    return [[{"epoch": at, name: value} for at, value in enumerate(seed)] for seed in seeds]


def panel(axes):
    return {line.get_gid(): line for line in axes.lines}


def titles(drawn):
    return [axes.get_title(loc="left") for axes in drawn.axes if axes.axison]


def test_a_curve_is_the_mean_and_the_extremes_of_the_seeds_that_came_so_far():
    one = studies.variant("eca", "attention", [0.5], curves=kept([0.3, 0.4], [0.1, 0.8, 0.9]))
    found = curve(one, "validation_accuracy")
    assert found.epochs == [1, 2, 3]
    assert found.mean == pytest.approx([0.2, 0.6, 0.9])
    assert found.low == [0.1, 0.4, 0.9]
    assert found.high == [0.3, 0.8, 0.9]
    assert curve(one, "train_loss") is None


def test_what_is_not_finite_is_left_out():
    one = studies.variant("eca", "attention", [0.5], curves=kept([0.1, float("nan"), None, 0.3]))
    assert curve(one, "validation_accuracy").epochs == [1, 4]


def test_a_panel_has_the_variant_its_plain_network_and_its_own_baseline():
    variants = studies.network(mechanisms=("squeeze_excite", "eca"), seeds=3)
    drawn = figure(studies.study(variants))
    assert titles(drawn) == ["squeeze_excite", "eca"]
    first, second = map(panel, drawn.axes)
    assert set(first) == {"attention-mean", "plain-mean", "matched-mean"}
    assert set(second) == {"attention-mean", "plain-mean"}, "the plain network is its baseline"
    expected = np.mean(
        [[epoch["validation_accuracy"] for epoch in seed] for seed in variants[1]["curves"]], 0
    )
    np.testing.assert_allclose(first["attention-mean"].get_ydata(), expected)
    assert first["attention-mean"].get_xdata().tolist() == list(range(1, 11))


def test_the_band_reaches_from_the_lowest_seed_to_the_highest():
    one = studies.variant("eca", "attention", [0.5], curves=kept([0.5, 0.6], [0.4, 0.9]))
    (axes,) = figure(studies.study([one])).axes
    (band,) = [found for found in axes.collections if found.get_gid() == "attention-band"]
    corners = {(round(x), round(y, 6)) for x, y in band.get_paths()[0].vertices}
    assert corners == {(1, 0.4), (1, 0.5), (2, 0.6), (2, 0.9)}
    assert "lowest to the highest" in caption(studies.study([one]))


def test_one_seed_has_no_band_and_says_so():
    one = studies.variant("eca", "attention", [0.5], curves=kept([0.5, 0.6]))
    (axes,) = figure(studies.study([one])).axes
    assert not axes.collections
    assert "one seed" in caption(studies.study([one]))


def test_the_ends_of_all_bands_are_in_the_panels():
    variants = studies.network(seeds=20)
    drawn = figure(studies.study(variants))
    low, high = drawn.axes[0].get_ylim()
    last = [seed[-1]["validation_accuracy"] for v in variants for seed in v["curves"]]
    assert low < min(last)
    assert max(last) < high
    assert all(axes.get_ylim() == (low, high) for axes in drawn.axes if axes.axison)


def test_networks_have_rows_and_scales_of_their_own():
    variants = studies.network(mechanisms=("a", "b"), seeds=2, base=0.5)
    variants += studies.network("resnet20", ("a", "b"), seeds=2, base=0.9)
    drawn = figure(studies.study(variants))
    assert titles(drawn) == ["resnet8 · a", "resnet8 · b", "resnet20 · a", "resnet20 · b"]
    first, _, third, _ = (axes.get_ylim() for axes in drawn.axes)
    assert first[1] < third[1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("validation_accuracy", "train_accuracy", "train_loss"), "validation_accuracy"),
        (("train_accuracy", "train_loss"), "train_accuracy"),
        (("train_loss",), "train_loss"),
        (("validation_mAP50", "train_loss"), None),
        ((), None),
    ],
)
def test_the_most_telling_quantity_is_drawn(names, expected):
    epochs = [{"epoch": 0} | dict.fromkeys(names, 0.5)]
    one = studies.variant("eca", "attention", [0.5], curves=[epochs])
    assert quantity_of(studies.study([one])) == (expected or ("train_loss" if names else None))
    assert quantity_of(studies.study([one], metric="mAP50")) == (
        "validation_mAP50" if expected is None and names else expected
    )


def test_without_curves_of_attention_those_that_were_kept_are_drawn():
    variants = studies.network(mechanisms=("squeeze_excite", "eca"), seeds=2)
    variants[1]["curves"] = None
    assert titles(figure(studies.study(variants))) == ["eca"]
    variants[2]["curves"] = None
    (axes,) = figure(studies.study(variants)).axes
    assert set(panel(axes)) == {"plain-mean", "matched-mean"}


@pytest.mark.parametrize("nothing", [None, [], [[]]])
def test_without_curves_there_is_a_word(nothing):
    variants = [one | {"curves": nothing} for one in studies.network()]
    drawn = figure(studies.study(variants))
    assert [text.get_text() for text in drawn.findobj(Text)] == ["No learning curves were kept."]


@pytest.mark.parametrize("narrow", [False, True])
def test_a_study_of_one_epoch_or_of_no_attention_is_drawn_and_the_file_is_the_same(narrow):
    one = studies.study([studies.variant("none", "plain", [0.5, 0.6], curves=kept([0.5], [0.6]))])
    drawn = curves(one, narrow=narrow)
    assert drawn == curves(one, narrow=narrow)
    assert "Learning curves" in re.search(r"<title>(.*?)</title>", drawn)[1]
    assert titles(figure(one)) == ["none"]
