"""The Pareto plot's points lie at their cost and accuracy, and its front is the study's."""

import numpy as np
import pytest
from matplotlib.text import Text
from tests.show import studies

from regard.show.study_pareto import figure, pareto

AXES = ("parameters", "flops", "latency", "training_time")


def points(axes, *gids):
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_gid() in gids
    ]


def texts(drawn):
    return [text.get_text() for text in drawn.findobj(Text)]


def panels(drawn):
    return [axes for axes in drawn.axes if axes.axison]


@pytest.mark.parametrize("narrow", [False, True])
def test_points_and_intervals_lie_where_the_study_says(narrow):
    variants = studies.network()
    drawn = figure(studies.study(variants), narrow=narrow)
    assert len(panels(drawn)) == 4
    for axes, axis in zip(panels(drawn), AXES, strict=True):
        expected = [(v[axis], v["summary"]["mean"]) for v in variants]
        np.testing.assert_allclose(points(axes, "front", "behind"), expected)
        bars = [line.get_ydata() for line in axes.lines if line.get_gid() == "interval"]
        ends = [(v["summary"]["low"], v["summary"]["high"]) for v in variants]
        np.testing.assert_allclose(bars, ends)


def test_the_front_is_filled_and_joined_from_the_cheapest_on():
    variants = studies.network()
    for place in (4, 2):
        variants[place]["on_front"]["parameters"] = True
    variants[4]["parameters"] = 100
    (axes, *_) = panels(figure(studies.study(variants)))
    front = [(v["parameters"], v["summary"]["mean"]) for v in variants
             if v["on_front"]["parameters"]]  # fmt: skip
    assert len(front) == 4
    np.testing.assert_allclose(points(axes, "front"), front)
    (line,) = [line for line in axes.lines if line.get_gid() == "front-line"]
    np.testing.assert_allclose(line.get_xydata(), sorted(front))
    hollow = {l.get_markerfacecolor() for l in axes.lines if l.get_gid() == "behind"}  # noqa: E741
    filled = {l.get_markerfacecolor() for l in axes.lines if l.get_gid() == "front"}  # noqa: E741
    assert hollow == {"#ffffff"}
    assert not hollow & filled


def test_numbers_are_those_of_the_list():
    variants = studies.network()
    drawn = figure(studies.study(variants))
    for axes in panels(drawn):
        found = {text.get_text(): text.xy for text in axes.texts}
        assert list(found) == [str(place) for place in range(1, 15)]
        assert found["4"][1] == variants[3]["summary"]["mean"]
    assert "4 cbam" in texts(drawn)
    assert "14 resnet8(widths=(17, 33, 65))" in texts(drawn)


@pytest.mark.parametrize("narrow", [False, True])
def test_numbers_are_apart_also_where_points_are_not(narrow):
    variants = studies.network(seeds=3)
    for variant in variants:
        variant["latency"] = 1.0
    drawn = figure(studies.study(variants), narrow=narrow)
    axes = panels(drawn)[2]
    drawn.draw_without_rendering()
    # An annotation's own extent has the line to its point in it.
    places = [Text.get_window_extent(text) for text in axes.texts]
    middles = np.array([(box.x0 + box.x1, box.y0 + box.y1) for box in places]) / 2
    apart = np.hypot(*(middles[:, None] - middles[None]).transpose(2, 0, 1)) * 72 / drawn.dpi
    assert apart[~np.eye(len(apart), dtype=bool)].min() > 6


def test_what_was_not_measured_is_left_out_with_a_word():
    variants = [one | {"latency": None, "training_time": None} for one in studies.network()]
    variants[3]["flops"] = None
    drawn = figure(studies.study(variants))
    parameters, flops = panels(drawn)
    assert len(points(parameters, "front", "behind")) == 14
    assert len(points(flops, "front", "behind")) == 13
    assert [text.get_text() for text in flops.texts].count("4") == 0
    assert "not measured: latency, training time" in texts(drawn)
    nothing = [one | dict.fromkeys(AXES) for one in variants]
    (said,) = texts(figure(studies.study(nothing)))
    assert said.startswith("Neither parameters")


def test_one_seed_has_no_interval():
    drawn = figure(studies.study([studies.variant("none", "plain", [0.8])]))
    assert not [line for axes in drawn.axes for line in axes.lines if line.get_gid() == "interval"]


def test_networks_have_panels_of_their_own():
    variants = studies.network(mechanisms=("a",)) + studies.network("resnet20", ("a",), base=0.9)
    drawn = panels(figure(studies.study(variants)))
    assert [axes.get_title(loc="left") for axes in drawn] == ["resnet8"] * 4 + ["resnet20"] * 4
    assert len(points(drawn[4], "front", "behind")) == 3
    assert [text.get_text() for text in drawn[4].texts] == ["4", "5", "6"]


@pytest.mark.parametrize("narrow", [False, True])
def test_the_file_is_the_same_each_time(narrow):
    """The solver of the layout is not the same from call to call in its last digits."""
    found = studies.study(studies.network(mechanisms=("eca", "cbam")))
    assert pareto(found, narrow=narrow) == pareto(found, narrow=narrow)
    for axes in figure(found, narrow=narrow).axes:
        bounds = axes.get_position().bounds
        assert bounds == pytest.approx([round(share, 4) for share in bounds], abs=1e-12)
