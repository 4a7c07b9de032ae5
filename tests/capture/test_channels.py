"""Which attention mixes channels, told by sizes, and where these are alike, by memory."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.capture import capture

B, H = 2, 3


class Attention(nn.Module):
    num_heads = H

    def __init__(self, channels, over, from_map):
        super().__init__()
        self.over = over
        layer = (
            nn.Conv2d(channels, 3 * channels, 1) if from_map else nn.Linear(channels, 3 * channels)
        )
        self.qkv = layer

    def forward(self, x):
        qkv = self.qkv(x)
        qkv = qkv.flatten(2) if qkv.dim() == 4 else qkv.mT
        q, k, v = qkv.unflatten(1, (3, H, -1)).unbind(1)  # (batch, heads, channel, token)
        if self.over == "tokens":
            q, k, v = q.mT, k.mT, v.mT
        return F.scaled_dot_product_attention(q, k, v)


@pytest.mark.parametrize("over", ["tokens", "channels"])
@pytest.mark.parametrize("from_map", [True, False])
@pytest.mark.parametrize("width", [2, 4, 16])  # channels a head; there are 16 tokens
def test_what_is_mixed(over, from_map, width):
    channels = H * width
    model = Attention(channels, over, from_map)
    x = torch.randn(B, channels, 4, 4) if from_map else torch.randn(B, 16, channels)
    with capture(model) as seen:
        model(x)
    assert seen["Attention"].mixes == over
    size = 16 if over == "tokens" else width
    assert seen["Attention"].operator.shape == (B, H, size, size)
