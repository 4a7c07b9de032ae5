"""CBAM gates by maxima as well as averages, in both of its parts."""

import pytest
import torch

from regard.attention.cbam import cbam
from regard.core.errors import InputError


def nothing(pooled):
    """Scores of zero, one per position."""
    return torch.zeros_like(pooled[:, :1])


def test_channels_of_equal_average_and_other_maximum_get_other_gates():
    x = torch.ones(1, 2, 2, 2)
    x[0, 1] = torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    y = cbam(x, lambda pooled: pooled, nothing)
    gates = y.sum((2, 3)) / x.sum((2, 3)) / 0.5
    torch.testing.assert_close(gates[0], torch.tensor([1.0 + 1, 1 + 4]).sigmoid())


def test_positions_of_equal_average_and_other_maximum_get_other_gates():
    x = torch.tensor([[1.0, 4], [1, 0], [1, -1]]).reshape(1, 3, 1, 2)
    y = cbam(x, torch.zeros_like, lambda pooled: pooled[:, 1:])
    # The channel gates are 1/2, so the maxima that count are half of those of x.
    torch.testing.assert_close(y[0, 0, 0] / x[0, 0, 0], torch.tensor([0.5, 2]).sigmoid() / 2)


def test_both_poolings_of_positions_reach_the_kernel_in_order():
    seen = []
    x = torch.randn(2, 5, 3, 4)
    cbam(x, torch.zeros_like, lambda pooled: (seen.append(pooled), nothing(pooled))[1])
    torch.testing.assert_close(seen[0], torch.stack([x.mean(1), x.amax(1)], 1) / 2)


def test_an_even_kernel_is_refused():
    from regard.attention import CBAM

    with pytest.raises(InputError, match="kernel_size is 4"):
        CBAM(8, kernel_size=4)
