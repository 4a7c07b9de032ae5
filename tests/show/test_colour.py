import numpy as np
import pytest

from regard.show.colour import COLOUR_MAPS, palette, positive, signed, times_uniform


@pytest.mark.parametrize(("keys", "peak"), [(64, 8), (1370, 64), (1, 2)])
def test_the_scale_of_weights_depends_on_the_number_of_keys_alone(keys, peak):
    assert times_uniform(keys).peak == peak


def test_a_nearly_uniform_row_looks_flat():
    scale = times_uniform(64)
    noise = np.array([0.95, 1.0, 1.05])
    assert np.ptp(scale.positions(noise)) < 0.03, "noise must not fill the colour bar"
    assert scale.positions(np.array([1.0])) == pytest.approx(0.5)
    np.testing.assert_allclose(scale.positions(np.array([0.0, 1 / 8, 8, 64])), [0, 0, 1, 1])


def test_signed_and_positive_scales_start_at_zero_not_at_the_smallest_value():
    values = np.array([3.0, 4.0])
    np.testing.assert_allclose(signed(values).positions(values), [0.875, 1.0])
    np.testing.assert_allclose(positive(values).positions(values), [0.75, 1.0])
    np.testing.assert_allclose(signed(values).positions(np.array([0.0])), [0.5])


def test_an_all_zero_map_has_a_scale():
    assert signed(np.zeros(3)).positions(np.zeros(3)).tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("kind", ["uniform", "positive"])
def test_one_sided_colours_rise_in_lightness_so_that_hue_is_not_needed(kind):
    colours = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in palette(kind)]
    lightness = np.array(colours) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -0.6).all()
    assert kind in COLOUR_MAPS
