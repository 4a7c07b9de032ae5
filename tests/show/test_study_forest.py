"""The forest plot's intervals end where the study says, in the study's order."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text
from tests.show import studies
from tests.show.explanations import HOSTILE

from regard.show.study_forest import EQUIVALENCE, figure, forest

NARROW = pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])


def lines(drawn, gid):
    """Return (xs, y) of each line that is called so, from the top."""
    found = [line for line in drawn.axes[0].lines if line.get_gid() == gid]
    places = [(list(line.get_xdata()), float(line.get_ydata()[0])) for line in found]
    return sorted(places, key=lambda place: place[1])


def shown(drawn):
    """Return what is written in a figure, but for the numbers along its axis."""
    along = {label for axes in drawn.axes for label in axes.get_xticklabels()}
    return [
        text
        for text in drawn.findobj(Text)
        if text.get_text() and text.get_visible() and text not in along
    ]


def words(drawn):
    return [text.get_text() for text in shown(drawn)]


def in_points(variants, key, *ends):
    return [[100 * v[key][end] for end in ends] for v in variants if v[key]]


@NARROW
def test_intervals_and_means_lie_where_the_study_says_in_its_order(narrow):
    variants = studies.network()
    drawn = figure(studies.study(variants), narrow=narrow)
    for against in ("plain", "matched"):
        key = f"against_{against}"
        ends = [xs for xs, _ in lines(drawn, f"{against}-interval")]
        means = [xs for xs, _ in lines(drawn, f"{against}-mean")]
        np.testing.assert_allclose(ends, in_points(variants, key, "low", "high"))
        np.testing.assert_allclose(means, in_points(variants, key, "mean"))
    said = words(drawn)
    assert [name for name in said if name in studies.MECHANISMS] == list(studies.MECHANISMS)


@NARROW
def test_the_two_comparisons_of_a_variant_are_beside_each_other_and_apart(narrow):
    drawn = figure(studies.study(), narrow=narrow)
    plain = [y for _, y in lines(drawn, "plain-mean")]
    matched = [y for _, y in lines(drawn, "matched-mean")]
    assert len(plain) == 13
    assert len(matched) == 9
    for y in matched:
        assert 0.15 < min(abs(y - other) for other in plain) < 0.5
    assert min(np.diff(plain)) > 0.5


def test_each_seed_is_a_dot_at_its_own_difference():
    variants = studies.network(mechanisms=("squeeze_excite",), seeds=20)
    drawn = figure(studies.study(variants))
    dots = {dots.get_gid(): dots for dots in drawn.axes[0].collections}
    plain, one, wide = (np.array(variant["values"]) for variant in variants)
    np.testing.assert_allclose(dots["matched-seeds"].get_offsets()[:, 0], 100 * (one - wide))
    assert len(dots["plain-seeds"].get_offsets()) == 20
    alone = figure(studies.study(variants[:2])).axes[0].collections
    (first,) = [found for found in alone if found.get_gid() == "plain-seeds"]
    np.testing.assert_allclose(first.get_offsets()[:, 0], 100 * (one - plain))


@NARROW
def test_there_are_a_zero_line_and_the_band_of_equivalence(narrow):
    drawn = figure(studies.study(), narrow=narrow)
    zero = lines(drawn, "zero")
    assert len(zero) == 13
    assert {tuple(xs) for xs, _ in zero} == {(0, 0)}
    bands = [c for c in drawn.axes[0].collections if c.get_gid() == "equivalence"]
    assert len(bands) == 13
    xs = bands[0].get_paths()[0].vertices[:, 0]
    assert (xs.min(), xs.max()) == (-EQUIVALENCE, EQUIVALENCE) == (-0.2, 0.2)


@NARROW
def test_numbers_are_said(narrow):
    one = studies.variant(
        "eca", "attention", [0.8], finding="gain", matched_by="wide",
        against_plain=studies.difference([1], [1], mean=0.0021, low=5e-4, high=37e-4),
        against_matched=studies.difference([1], [1], mean=-3e-4, low=-0.01, high=0.01),
    )  # fmt: skip
    wide = studies.variant("wide", "matched", [0.7])
    said = words(figure(studies.study([one, wide]), narrow=narrow))
    assert "+0.21 [0.05, 0.37]" in said
    assert "−0.03 [−1.00, 1.00]" in said


@NARROW
def test_one_seed_has_a_hollow_mark_and_no_interval(narrow):
    variants = studies.network(mechanisms=("eca",), seeds=1)
    drawn = figure(studies.study(variants), narrow=narrow)
    assert lines(drawn, "plain-interval") == []
    assert "eca (too few seeds)" in words(drawn)
    means = [line for line in drawn.axes[0].lines if line.get_gid() == "plain-mean"]
    few, enough = (line.get_markerfacecolor() for line in means)
    assert few != enough


def test_the_long_interval_of_two_seeds_does_not_hide_the_others():
    variants = studies.network(mechanisms=("eca", "cbam"))
    far = {"n": 2, "low": -0.4, "high": 0.4}
    variants[1]["against_plain"] |= far
    drawn = figure(studies.study(variants))
    low, high = drawn.axes[0].get_xlim()
    assert -2 < low < -0.2
    assert 0.2 < high < 2
    arrows = [line.get_marker() for line in drawn.axes[0].lines if line.get_marker() in "<>"]
    assert arrows == ["<", ">"]
    variants[1]["against_plain"] |= {"n": 3}
    low, high = figure(studies.study(variants)).axes[0].get_xlim()
    assert low < -40 < 40 < high


def test_what_was_not_compared_is_said():
    variants = studies.network(mechanisms=("squeeze_excite",))
    variants[1]["against_matched"] = None
    assert "not compared with the matched network" in words(figure(studies.study(variants)))
    plain = studies.study([studies.variant("none", "plain", [0.8])])
    assert "There is nothing to compare" in words(figure(plain))[0]


def test_networks_have_headings():
    variants = studies.network("resnet8", ("eca",))
    assert "resnet8" not in words(figure(studies.study(variants)))
    said = words(figure(studies.study(variants + studies.network("resnet20", ("simam",)))))
    assert said.index("resnet8") < said.index("eca") < said.index("resnet20")


@NARROW
def test_nothing_covers_the_numbers(narrow):
    """Names and numbers of one row end before those beside them, and stay in the figure."""
    drawn = figure(studies.study(studies.network(seeds=20)), narrow=narrow)
    drawn.draw_without_rendering()
    told = shown(drawn)
    boxes = [text.get_window_extent() for text in told]
    width, height = drawn.bbox.width, drawn.bbox.height
    for text, box in zip(told, boxes, strict=True):
        assert box.x0 >= -1, text
        assert box.x1 <= width + 1, text
        assert 0 <= box.y0 <= box.y1 <= height, text
    tight = [box.shrunk(0.98, 0.8) for box in boxes]
    assert not any(one.overlaps(other) for at, one in enumerate(tight) for other in tight[:at])


def test_the_file_is_the_same_each_time_and_hostile_names_are_only_names():
    variants = studies.network(mechanisms=(HOSTILE, "$x^{$", "\n" * 3))
    found = studies.study(variants)
    drawn = forest(found)
    assert drawn == forest(found)
    root = ElementTree.fromstring(drawn)
    assert {part.tag.split("}")[1] for part in root.iter()} <= {
        "svg", "title", "style", "defs", "g", "path", "use", "clipPath", "rect",
    }  # fmt: skip
    assert set(re.findall(r"https?://[^\" ]+", drawn)) == {
        "http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg",
    }  # fmt: skip


def test_the_users_style_is_left_alone_and_changes_nothing():
    import matplotlib

    found = studies.study(studies.network(mechanisms=("eca",)))
    before = forest(found)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "lines.linewidth": 9}):
        assert forest(found) == before
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def test_every_colour_has_one_for_dark_ground():
    drawn = forest(studies.study(studies.network(mechanisms=("bam",))))
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn.split("</style>", 1)[1]))
    sheet = drawn.split("</style>", 1)[0]
    assert len(used) >= 6
    for colour in used:
        assert f'[style*="fill: {colour}"]' in sheet, colour
