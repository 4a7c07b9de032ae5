"""Costs equal closed forms; a multiply-add is two operations."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.attention import create
from regard.attention.cost import Cost, cost
from regard.core.errors import InputError


def test_pointwise_convolution():
    # Per position 16·32 multiply-adds; weights and 32 biases.
    assert cost(nn.Conv2d(16, 32, 1), (3, 16, 7, 5)) == Cost(
        parameters=16 * 32 + 32, flops=3 * 2 * 16 * 32 * 7 * 5
    )


def test_scaled_dot_product():
    batch, d, positions = 2, 8, 6 * 4
    projections = 4 * 2 * d * d * positions
    attention = 4 * positions**2 * d
    module = create("scaled_dot_product", d)
    assert cost(module, (batch, d, 6, 4)).flops == batch * (projections + attention)


class Fused(nn.Module):
    def forward(self, query, key):
        return F.scaled_dot_product_attention(query, key, key)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_fused_attention_is_not_free(dtype):
    module = Fused()
    module.register_buffer("dtype", torch.zeros(1, dtype=dtype))
    flops = cost(module, (2, 3, 10, 8), (2, 3, 50, 8)).flops
    assert flops == 2 * 3 * (4 * 10 * 50 * 8)


def test_linear_attention_doubles_with_the_map():
    module = create("linear", 8)
    one, two = cost(module, (1, 8, 8, 8)).flops, cost(module, (1, 8, 16, 8)).flops
    assert 0 < two <= 2 * one


def test_attention_over_all_positions_quadruples_with_the_map():
    module = Fused()
    shapes = [((1, 1, n, 8), (1, 1, n, 8)) for n in (64, 128)]
    one, two = (cost(module, *pair).flops for pair in shapes)
    assert two == 4 * one


def test_a_shared_parameter_counts_once():
    layer = nn.Conv2d(4, 4, 1)
    assert cost(nn.Sequential(layer, layer), (1, 4, 2, 2)).parameters == 4 * 4 + 4


def test_the_module_is_left_as_it_is():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    cost(module, (1, 3, 1, 1))  # a single value a channel, which batch norm refuses to train on
    assert module.training
    assert module[1].training
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert {p.device.type for p in module.parameters()} == {"cpu"}


def test_size_costs_no_memory():
    # A million positions: the scores alone would take 4 TB.
    assert cost(Fused(), (1, 1, 10**6, 8), (1, 1, 10**6, 8)).flops == 4 * 10**12 * 8


def test_no_shape_is_an_error():
    with pytest.raises(InputError, match="the shape of each input"):
        cost(nn.Identity())
