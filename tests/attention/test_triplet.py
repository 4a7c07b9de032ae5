"""Triplet attention: which axes a branch sees, and what the mechanism refuses."""

import pytest
import torch

from regard.attention import Triplet
from regard.attention.triplet import triplet
from regard.core.errors import InputError


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("pooling", [0, 1])
def test_a_branch_gates_by_the_maximum_and_mean_over_its_axis(axis, pooling):
    x = torch.randn(2, 3, 4, 5)
    y = triplet(x, {axis: lambda pooled: pooled[:, pooling : pooling + 1]})
    pooled = (x.amax if pooling == 0 else x.mean)(axis, keepdim=True)
    torch.testing.assert_close(y, x * pooled.sigmoid())


def test_branches_are_averaged():
    x = torch.randn(1, 3, 4, 5)
    scores = {1: -1e3, 2: 1e3, 3: 0.0}
    branches = {
        axis: (lambda pooled, score=score: torch.full_like(pooled[:, :1], score))
        for axis, score in scores.items()
    }
    torch.testing.assert_close(triplet(x, branches), x * (0 + 1 + 0.5) / 3)


def test_an_even_kernel_is_refused():
    with pytest.raises(InputError, match="kernel_size is 2"):
        Triplet(8, kernel_size=2)


def test_a_map_of_other_channels_is_refused():
    with pytest.raises(InputError, match="8 channels and got a map of 4"):
        Triplet(8)(torch.zeros(1, 4, 2, 2))
