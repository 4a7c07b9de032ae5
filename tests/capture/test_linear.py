"""Attention without a softmax: the operator equals the explicit weights of the paper's formula."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.capture import capture

B, H, N, D, E = 2, 3, 7, 4, 5


def transformers_are_rnns(q, k, v):
    q, k = F.elu(q) + 1, F.elu(k) + 1
    total = q @ k.sum(-2).unsqueeze(-1)
    return q @ (k.mT @ v) / total.clamp(min=1e-6)


def by_einsum(q, k, v):
    q, k = F.relu(q) + 0.1, F.relu(k) + 0.1
    context = torch.einsum("bhnd,bhne->bhde", k, v)
    mixed = torch.einsum("bhnd,bhde->bhne", q, context)
    return mixed / torch.einsum("bhnd,bhd->bhn", q, k.sum(2)).unsqueeze(-1)


def efficient_attention(q, k, v):
    return q.softmax(-1) @ (k.softmax(-2).mT @ v)


def features_first(q, k, v):
    q, k, v = (x.mT for x in (q, k, v))
    return ((v @ k.mT / N) @ q).mT


def explicit(q, k, v):
    return (q @ k.mT / N) @ v


def phi(name, x, axis):
    return {
        "transformers_are_rnns": lambda: F.elu(x) + 1,
        "by_einsum": lambda: F.relu(x) + 0.1,
        "efficient_attention": lambda: x.softmax(axis),
    }.get(name, lambda: x)()


class Model(nn.Module):
    def __init__(self, attend):
        super().__init__()
        self.attend = attend

    def forward(self, tokens, q, k, v):
        return self.attend(q, k, v)


@pytest.mark.parametrize(
    "attend", [transformers_are_rnns, by_einsum, efficient_attention, features_first, explicit]
)
@pytest.mark.parametrize("keep", ["tensors", "operators"])
def test_operator_equals_explicit_weights(attend, keep):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(B, H, N, d, generator=generator, dtype=torch.float64) for d in (D, D, E))
    tokens = torch.randn(B, N, H * D)
    model = Model(attend)
    with capture(model, keep=keep) as seen:
        output = model(tokens, q, k, v)
    (record,) = seen.calls("Model")
    assert record.kind == "linear"
    name = attend.__name__
    explicit = phi(name, q, -1) @ phi(name, k, -2).mT
    if name in ("transformers_are_rnns", "by_einsum"):
        explicit = explicit / explicit.sum(-1, keepdim=True)
    elif name != "efficient_attention":
        explicit = explicit / N
    torch.testing.assert_close(record.operator.dense(), explicit)
    torch.testing.assert_close(record.operator.matvec(v), output)
    if keep == "tensors":
        assert seen.verify()["Model"] < 1e-12
