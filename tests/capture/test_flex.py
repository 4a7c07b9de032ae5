"""flex_attention: the weights equal the twin's, whatever the functions do to the scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.core.operator_contract import check_operator
from tests.reference.capture import softmax_attention as twin
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from regard.capture import capture

B, H, N, M, D, E = 2, 4, 5, 6, 3, 2

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without")


class Flexible(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, q, k, v):
        return flex_attention(q, k, v, **self.options)


@pytest.fixture
def qkv():
    generator = torch.Generator().manual_seed(0)
    sizes = ((B, H, N, D), (B, H, M, D), (B, H, M, E))
    return [torch.randn(*s, generator=generator, dtype=torch.float64) for s in sizes]


def bias_table():
    return torch.randn(H, N + M, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


TABLE = bias_table()


def relative(score, b, h, i, j):
    return score + TABLE[h, i - j + M] * (b + 1)


def causal(b, h, i, j):
    return i >= j


def never_for_the_first(b, h, i, j):
    return (i > 0) & (j != h)


def cases():
    i, j = np.arange(N)[:, None], np.arange(M)
    table, images = TABLE.numpy(), np.arange(B)[:, None, None, None] + 1
    heads = np.arange(H)[:, None, None]
    added = np.broadcast_to(table[:, i - j + M][None] * images, (B, H, N, M))
    seen = np.broadcast_to((i > 0) & (j != heads), (B, H, N, M))
    blocks = create_block_mask(never_for_the_first, None, H, N, M, device="cpu")
    return {
        "plain": ({}, None, None),
        "scale": ({"scale": 0.3}, None, None),
        "score": ({"score_mod": relative}, None, added),
        "mask": ({"block_mask": blocks}, seen, None),
        "both": ({"score_mod": relative, "block_mask": blocks}, seen, added),
    }


@pytest.mark.parametrize("case", ["plain", "scale", "score", "mask", "both"])
def test_weights_equal_the_twin(case, qkv):
    options, allowed, bias = cases()[case]
    model = Flexible(**options)
    with torch.no_grad(), capture(model) as seen:
        output = model(*qkv)
    record = seen["Flexible"]
    q, k, v = (x.numpy() for x in qkv)
    expected = twin.weights(q, k, options.get("scale", D**-0.5), allowed, bias)
    np.testing.assert_allclose(record.operator.dense().numpy(), expected, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(output.numpy(), twin.attend(expected, v), rtol=1e-9, atol=1e-12)
    assert (record.kind, record.provenance) == ("softmax", "recomputed")
    assert seen.verify()["Flexible"] < 1e-12
    check_operator(record.operator, seed=0)


def test_grouped_queries_share_keys(qkv):
    q, k, v = qkv
    model = Flexible(enable_gqa=True)
    with torch.no_grad(), capture(model) as seen:
        model(q, k[:, :2], v[:, :2])
    shared = k[:, [0, 0, 1, 1]]
    expected = twin.weights(q.numpy(), shared.numpy(), D**-0.5)
    np.testing.assert_allclose(seen["Flexible"].operator.dense().numpy(), expected, rtol=1e-12)
    assert seen.verify()["Flexible"] < 1e-12


def test_a_query_that_may_see_no_key_has_a_gradient_of_zero(qkv):
    model = Flexible(score_mod=lambda score, b, h, i, j: score + torch.where(i > 0, 0, -torch.inf))
    with capture(model) as seen:
        model(*qkv)
    # On the CPU flex_attention itself refuses inputs that need a gradient.
    q = qkv[0].requires_grad_()
    operator = replace(seen["Flexible"].operator, query=q)
    operator.rows(slice(None)).square().sum().backward()
    assert (q.grad[:, :, 0] == 0).all()
    assert (q.grad[:, :, 1:] != 0).all()


def test_the_output_is_what_it_is_outside(qkv):
    model = Flexible(score_mod=relative)
    with torch.no_grad():
        expected = model(*qkv)
        with capture(model):
            output = model(*qkv)
    assert torch.equal(output, expected)
