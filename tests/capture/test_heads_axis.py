"""Of several batch axes, the one as long as the model has heads is the heads, however computed."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.capture import capture

BATCH, HEADS, WINDOWS, TOKENS, WIDTH = 2, 3, 4, 5, 6


def by_hand(q, k, v):
    return (q @ k.mT / WIDTH**0.5).softmax(-1) @ v


class Windowed(nn.Module):
    def __init__(self, attend, heads):
        super().__init__()
        self.attend, self.num_heads = attend, heads

    def forward(self, q, k, v):
        return self.attend(q, k, v)


@pytest.mark.parametrize("attend", [by_hand, F.scaled_dot_product_attention])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((BATCH, HEADS, WINDOWS), 1),
        ((BATCH, WINDOWS, HEADS), 2),
        ((BATCH, HEADS, HEADS), 2),  # where several fit, the last
        ((HEADS, WINDOWS, BATCH), 2),  # the first axis is the images
    ],
)
def test_the_axis_of_the_heads_is_found(attend, shape, axis):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, *shape, TOKENS, WIDTH, generator=generator, dtype=torch.float64)
    model = Windowed(attend, HEADS)
    with capture(model) as seen:
        model(q, k, v)
    (record,) = seen.values()
    weights = (q @ k.mT / WIDTH**0.5).softmax(-1)
    expected = weights.movedim(axis, 2).flatten(0, 1)
    torch.testing.assert_close(record.operator.dense(), expected, rtol=1e-9, atol=1e-12)
