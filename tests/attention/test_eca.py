"""The rule for ECA's kernel size, and what the mechanism refuses."""

import pytest
import torch

from regard.attention import ECA
from regard.attention.eca import adaptive_kernel_size
from regard.core.errors import InputError


@pytest.mark.parametrize(
    ("channels", "size"),
    # (log₂C + 1)/2 is 0.5, 2, 3.5, 4, 4.5, 5, 5.5 and 6; between two odd numbers, the larger.
    [(1, 1), (8, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)],
)
def test_the_kernel_grows_with_the_logarithm_of_the_channels(channels, size):
    assert adaptive_kernel_size(channels) == size
    assert ECA(channels).slide.weight.shape == (1, 1, size)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kernel_size": 4}, "kernel_size is 4"), ({"gamma": 0.0}, "gamma is 0")],
)
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ECA(8, **options)


def test_a_map_of_other_channels_is_refused():
    with pytest.raises(InputError, match="8 channels and got a map of 16"):
        ECA(8)(torch.zeros(1, 16, 2, 2))
