import numpy as np
import pytest

from regard.show.packing import pack, unpack


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
