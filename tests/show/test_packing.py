import numpy as np
import pytest

from regard.show.packing import pack, pack_channels, pack_coarsely, unpack


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_floats_come_back_within_16_bit_precision_whatever_their_size(size):
    values = np.random.default_rng(0).normal(size=(3, 50)) * size
    back = unpack(pack(values))
    # Half a unit in the last of 11 bits; values 2**-24 of the largest are lost to rounding.
    np.testing.assert_allclose(back, values, rtol=2**-11, atol=np.abs(values).max() * 2**-28)


def test_hidden_keys_stay_hidden():
    values = np.array([-np.inf, 0.0, 3.5])
    np.testing.assert_array_equal(unpack(pack(values)), values)


def test_bytes_come_back_exactly():
    values = np.arange(256, dtype=np.uint8).reshape(4, 64)
    np.testing.assert_array_equal(unpack(pack(values)), values)
    assert unpack(pack(values)).dtype == np.uint8


def test_zeros_and_scalars_survive():
    assert unpack(pack(np.zeros((2, 2)))).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize(("signed", "worst"), [(False, 0.004), (True, 0.008)])
def test_steps_of_8_bits_are_finer_near_zero(signed, worst, size):
    shares = np.linspace(0, 1, 2001) ** 2
    values = size * (np.concatenate([-shares, shares]) if signed else shares)
    packed = pack_coarsely(values)
    error = np.abs(unpack(packed) - values) / size
    assert error.max() <= worst
    assert error[np.abs(values) < 0.01 * size].max() <= worst / 8
    assert len(packed["data"]) < 1.4 * values.size


def test_steps_keep_signs_zeros_and_ends():
    values = np.array([-2.0, 0.0, 4.0])
    np.testing.assert_allclose(unpack(pack_coarsely(values))[[1, 2]], [0, 4])
    assert unpack(pack_coarsely(values))[0] == pytest.approx(-2, rel=0.02)
    assert unpack(pack_coarsely(np.zeros((2, 3)))).tolist() == [[0.0] * 3] * 2


def test_each_channel_has_steps_of_its_own():
    sizes = np.array([1e-6, 1.0, 1e6, 0.0])
    values = np.random.default_rng(0).uniform(-1, 1, (50, 4)) * sizes
    error = np.abs(unpack(pack_channels(values)) - values)
    assert (error.max(0) <= 0.0041 * sizes).all()
