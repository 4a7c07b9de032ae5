"""Attention over photographs: where it is, in numbers and in colour."""

import numpy as np
import pytest

from regard.core.errors import InputError
from regard.show.attention_overlay import concentration, heads_figure, overlay, overlay_scale


def test_concentration_of_a_map_that_is_known():
    weights = np.full((4, 5), 0.02)
    weights[1, 3] = 0.3
    weights[2, 0] = 0.1
    found = concentration(weights, keys=21)
    assert found["strongest_cell"] == [1, 3]
    assert found["times_uniform"] == pytest.approx(6.3)
    assert found["on_image"] == pytest.approx(0.3 + 0.1 + 18 * 0.02)
    # Half of 0.76 is 0.38: 0.3 and 0.1 hold it.
    assert found["area_of_half"] == pytest.approx(2 / 20)


def test_a_uniform_map_is_spread_over_half_of_its_cells():
    assert concentration(np.full((4, 4), 1 / 16), keys=16)["area_of_half"] == 0.5


def test_cells_are_laid_out_over_a_picture_that_they_do_not_divide():
    weights = np.ones((2, 3))
    weights[1, 2] = 100.0
    drawn = overlay(np.full((5, 7, 3), 100, np.uint8), weights, overlay_scale(6))
    changed = (drawn != 100).any(-1)
    assert changed[3:, 5:].all()
    assert not changed[:2].any()
    assert not changed[:, :4].any()


def test_a_map_finer_than_the_picture_is_refused():
    with pytest.raises(InputError, match="a map of 9×9 cells does not fit a picture of 8×8 pixels"):
        overlay(np.zeros((8, 8, 3), np.uint8), np.ones((9, 9)), overlay_scale(81))


def test_the_scale_depends_on_the_number_of_keys_alone():
    assert overlay_scale(64).peak == 8
    assert overlay_scale(1370).peak == overlay_scale(100_000).peak == 16


def test_every_head_has_a_panel_beside_the_photograph_and_the_mean():
    picture = np.zeros((16, 16, 3), np.uint8)
    figure = heads_figure(picture, np.full((3, 4, 4), 1 / 16), keys=16, title="a title")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["photograph", "mean of the heads", "head 1", "head 2", "head 3"]
