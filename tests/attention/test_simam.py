"""SimAM's gate where its formula could divide by zero, and what it favours."""

import pytest
import torch

from regard.attention import SimAM
from regard.attention.simam import simam
from regard.core.errors import InputError


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_where_nothing_stands_out_every_gate_is_the_same(size):
    x = torch.full((1, 2, *size), 3.0)
    torch.testing.assert_close(simam(x), x * torch.tensor(0.5).sigmoid())


def test_what_stands_out_is_kept_most_whatever_its_sign():
    x = torch.ones(1, 1, 3, 3)
    x[0, 0, 1, 2] = -5.0
    gate = simam(x) / x
    assert gate.flatten().argmax() == 5
    assert gate.max() > gate.flatten().kthvalue(8).values + 0.1


@pytest.mark.parametrize("e_lambda", [0.0, -1.0])
def test_a_regulariser_that_is_not_positive_is_refused(e_lambda):
    with pytest.raises(InputError, match="e_lambda is"):
        SimAM(8, e_lambda=e_lambda)


def test_a_map_of_other_channels_is_refused():
    with pytest.raises(InputError, match="8 channels and got a map of 4"):
        SimAM(8)(torch.zeros(1, 4, 2, 2))
