"""The box or region that is explained has a line around it, in every picture and on the page."""

import numpy as np
import pytest
from tests.show.explanations import explanation

from regard.core.explanation import load_explanation
from regard.show.blending import TARGET_COLOUR
from regard.show.report_data import border, report_data

BOX = np.zeros((32, 32), dtype=bool)
BOX[4:20, 0:12] = True


def yellow(picture):
    return (picture == np.array(TARGET_COLOUR)).all(2)


def test_the_overlay_has_a_line_just_inside_the_box_also_at_the_picture_s_edge():
    plain, drawn = (
        explanation(outline=outline).overlay(size=64, verdict=False) for outline in (None, BOX)
    )
    line = np.zeros((64, 64), dtype=bool)
    line[8:40, 0:24] = True
    line[9:39, 1:23] = False
    assert np.array_equal(yellow(drawn), line)
    assert not yellow(plain).any()
    far = np.ones((64, 64), dtype=bool)
    far[6:42, :26] = False
    assert np.array_equal(drawn[far], plain[far])


def test_the_border_of_a_mask_as_a_path():
    mask = np.zeros((4, 5), dtype=bool)
    mask[1:3, 1:4] = True
    assert border(mask) == "M1 1H4M1 3H4M1 1V3M4 1V3"
    mask[1, 2] = False  # a gap from above
    assert border(mask) == "M1 1H2M3 1H4M2 2H3M1 3H4M1 1V3M2 1V2M3 1V2M4 1V3"
    assert border(np.ones((2, 3), dtype=bool)) == "M0 0H3M0 2H3M0 0V2M3 0V2"


def test_the_page_has_the_path_of_each_explanation():
    data = report_data([explanation(outline=BOX), explanation()], ())
    first, second = (found["outline"] for found in data["explanations"])
    assert first == "M0 4H12M0 20H12M0 4V20M12 4V20"
    assert second is None


@pytest.mark.parametrize("outline", [BOX, None])
def test_a_saved_explanation_keeps_it(outline, tmp_path):
    back = load_explanation(explanation(outline=outline).save(tmp_path / "map.npz"))
    assert np.array_equal(back.outline, outline) if outline is not None else back.outline is None


def test_the_figure_says_what_the_line_is():
    titles = [place.get_title() for place in explanation(outline=BOX).plot().axes]
    assert "what the model saw; line: what is explained" in titles
