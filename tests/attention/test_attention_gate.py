"""The attention gate's two grids, and the gating signal's own channels."""

import pytest
import torch

from regard.attention import AttentionGate
from regard.attention.attention_gate import attention_gate
from regard.core.errors import InputError
from regard.core.seeding import seeded


def total(features):
    """Score positions by the sum over channels."""
    return features.sum(1, keepdim=True)


def test_on_equal_grids_nothing_is_resampled():
    x, gating = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    expected = x * (x + gating).relu().sum(1, keepdim=True).sigmoid()
    torch.testing.assert_close(attention_gate(x, x, gating, total), expected)


def test_on_a_grid_of_half_the_size_features_are_averaged_over_four_cells():
    x, gating = torch.randn(2, 3, 4, 6), torch.zeros(2, 3, 2, 3)
    seen = []
    attention_gate(x, x, gating, lambda features: (seen.append(features), total(features))[1])
    torch.testing.assert_close(
        seen[0], x.unflatten(3, (3, 2)).unflatten(2, (2, 2)).mean((3, 5)).relu()
    )


def test_coarse_cells_lie_over_the_features_that_they_cover():
    x = torch.ones(1, 1, 2, 8)
    gating = torch.tensor([[[[9.0, 0.0, 0.0, 0.0]]]])
    alpha = attention_gate(x, torch.zeros_like(x), gating, total)[0, 0]
    # Centres of the first two coarse cells are at 0.5 and 2.5 in units of fine cells.
    high, low = gating.sigmoid().flatten()[:2]
    expected = [high, 0.75 * high + 0.25 * low, 0.25 * high + 0.75 * low, low]
    torch.testing.assert_close(alpha[0, [0, 1, 2, 3]], torch.stack([high, *expected[1:]]))
    torch.testing.assert_close(alpha[0], alpha[1])


@pytest.mark.parametrize("coarse", [(3, 2), (2, 5), (4, 7), (1, 1)])
def test_mirrored_inputs_give_the_mirrored_result(coarse):
    x, gating = torch.randn(1, 2, 6, 7), torch.randn(1, 2, *coarse)
    there = attention_gate(x, x, gating, total)
    back = attention_gate(x.flip(2, 3), x.flip(2, 3), gating.flip(2, 3), total)
    torch.testing.assert_close(back.flip(2, 3), there)


def test_the_gating_signal_may_have_other_channels_and_decides():
    with seeded(0):
        module = AttentionGate(4, context_channels=10, width=6)
        x = torch.randn(1, 4, 6, 4)
        first, second = torch.randn(2, 1, 10, 3, 2)
    assert not torch.allclose(module(x, first), module(x, second))


def test_the_sum_is_formed_in_half_the_channels_by_default():
    assert AttentionGate(10).score.in_channels == 5
    assert AttentionGate(1).score.in_channels == 1


@pytest.mark.parametrize("option", ["width", "context_channels"])
def test_no_channels_are_refused(option):
    with pytest.raises(InputError, match=f"{option} is 0"):
        AttentionGate(4, **{option: 0})
