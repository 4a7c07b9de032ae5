"""The fused kernel: weights recomputed from what it was called with equal the slow twin."""

import math

import numpy as np
import pytest
import torch
from tests.reference.capture import softmax_attention as twin
from torch import nn
from torch.nn import functional as F

from regard.capture import capture

B, H, N, M, D, E = 2, 4, 5, 6, 3, 2


class Fused(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, **self.options)


@pytest.fixture
def qkv():
    generator = torch.Generator().manual_seed(0)
    sizes = ((B, H, N, D), (B, H, M, D), (B, H, M, E))
    return [torch.randn(*s, generator=generator, dtype=torch.float64) for s in sizes]


def masks():
    generator = torch.Generator().manual_seed(1)
    allowed = torch.rand(B, 1, N, M, generator=generator) > 0.4
    allowed[0, 0, 2] = False  # a query that may see nothing
    bias = torch.randn(H, N, M, generator=generator, dtype=torch.float64)
    causal = torch.ones(N, M).tril().bool()
    return {
        "none": ({}, None, None),
        "bool": ({"attn_mask": allowed}, allowed, None),
        "float": ({"attn_mask": bias}, None, bias),
        "shared": ({"attn_mask": bias[0]}, None, bias[0]),
        "causal": ({"is_causal": True}, causal, None),
        "scale": ({"scale": 0.3}, None, None),
    }


@pytest.mark.parametrize("case", masks())
def test_weights_equal_the_twin(qkv, case):
    options, allowed, bias = masks()[case]
    q, k, v = qkv
    model = Fused(**options)
    with capture(model) as seen:
        output = model(q, k, v)
    record = seen["Fused"]
    spread = [
        None if x is None else np.broadcast_to(x.numpy(), (B, H, N, M)) for x in (allowed, bias)
    ]
    scale = options.get("scale", 1 / math.sqrt(D))
    expected = twin.weights(q.numpy(), k.numpy(), scale, *spread)
    np.testing.assert_allclose(record.operator.dense().numpy(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        output.numpy(), twin.attend(expected, v.numpy()), rtol=1e-9, atol=1e-12
    )
    assert record.provenance == "recomputed"
    assert record.tensors.output is output
    assert record.tensors.query is q
    assert seen.verify()["Fused"] < 1e-14


def test_grouped_queries_share_keys(qkv):
    q, k, v = qkv
    model = Fused(enable_gqa=True)
    with capture(model) as seen:
        model(q, k[:, :2], v[:, :2])
    keys = k[:, [0, 0, 1, 1]].numpy()
    expected = twin.weights(q.numpy(), keys, 1 / math.sqrt(D))
    np.testing.assert_allclose(seen["Fused"].operator.dense().numpy(), expected, rtol=1e-12)
    assert seen.verify()["Fused"] < 1e-14


def test_three_axes_are_one_head(qkv):
    q, k, v = (x[:, 0] for x in qkv)
    model = Fused(attn_mask=torch.randn(B, N, M, dtype=torch.float64))
    with capture(model) as seen:
        model(q, k, v)
    assert seen["Fused"].operator.shape == (B, 1, N, M)
    assert seen.verify()["Fused"] < 1e-14


def test_dropout_makes_the_weights_approximate(qkv):
    model = Fused(dropout_p=0.5)
    with capture(model) as seen:
        model(*qkv)
    assert seen["Fused"].provenance == "approximate"
    assert seen.verify()["Fused"] > 1e-3


def test_half_precision_under_autocast():
    q, k, v = torch.randn(3, B, H, N, D)
    model = Fused()
    with capture(model) as seen, torch.autocast("cpu", torch.bfloat16):
        output = model(q, k, v)
    assert output.dtype == torch.bfloat16
    assert seen.verify()["Fused"] < 0.05
    assert seen["Fused"].operator.dense().sum(-1).sub(1).abs().max() < 1e-6


def test_the_fused_kernel_still_runs(qkv):
    """What is called inside is the function itself, and no matrix of weights is formed."""
    called = []

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            called.append(func.__name__)
            return func(*args, **(kwargs or {}))

    model = Fused()
    with Spy(), capture(model):
        model(*qkv)
    assert "scaled_dot_product_attention" in called
    assert not {"softmax", "matmul", "bmm"} & set(called)
