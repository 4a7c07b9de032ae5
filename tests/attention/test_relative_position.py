"""The bias table at its own size and at others."""

import pytest
import torch
from torch.nn import functional as F

from regard.attention.relative_position import RelativePositionBias, resize
from regard.core.seeding import seeded


def bias_layer(heads, size):
    with seeded(0):
        layer = RelativePositionBias(heads, size)
        torch.nn.init.normal_(layer.table)
    return layer


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (5, 3), (4, 9), (13, 6)])
def test_resize_is_bilinear_interpolation(size):
    with seeded(0):
        table = torch.randn(3, 5, 4, dtype=torch.float64)
    theirs = F.interpolate(table[None], size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(resize(table, *size), theirs)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (4, 4), (9, 2)])
def test_a_position_sees_itself_with_the_middle_of_the_table_at_every_size(size):
    layer = bias_layer(2, (3, 5))
    with torch.no_grad():
        diagonal = layer(*size).diagonal(dim1=1, dim2=2)
    expected = layer.table[:, 2, 4, None].detach().expand_as(diagonal)
    torch.testing.assert_close(diagonal, expected)


@pytest.mark.parametrize("size", [(3, 5), (4, 4)])
def test_equal_offsets_share_a_bias(size):
    height, width = size
    layer = bias_layer(1, (3, 5))
    with torch.no_grad():
        bias = layer(height, width)[0].reshape(height, width, height, width)
    assert torch.equal(bias[1:, 1:, 1:, 1:], bias[:-1, :-1, :-1, :-1])
