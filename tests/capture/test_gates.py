"""Which products are gates, which are activation functions, and what is kept of a gate."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.capture import capture
from regard.core.errors import NothingCaptured


class Net(nn.Module):
    """One function of a feature map, with a few layers to use."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.channel = nn.Conv2d(8, 8, 1)
        self.other = nn.Conv2d(8, 8, 1)
        self.spatial = nn.Conv2d(8, 1, 3, padding=1)
        self.twice = nn.Conv2d(8, 16, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return self.function(self, x)


def pooled(x):
    return x.mean((2, 3), keepdim=True)


GATES = {
    "squeeze excite": lambda m, x: x * m.channel(pooled(x)).sigmoid(),
    "hard sigmoid in place": lambda m, x: x * F.hardsigmoid(m.channel(pooled(x)), inplace=True),
    "hard sigmoid by hand": lambda m, x: x * (F.relu6(m.channel(pooled(x)) + 3.0) / 6.0),
    "gate first": lambda m, x: torch.sigmoid(m.spatial(x)) * x,
    "torch.mul": lambda m, x: torch.mul(input=x, other=torch.sigmoid(m.spatial(x))),
    "in place": lambda m, x: x.clone().mul_(m.spatial(x).sigmoid_()),
    "expanded": lambda m, x: x * m.channel(pooled(x)).sigmoid().expand_as(x),
    "one more": lambda m, x: x * (1 + m.spatial(x).sigmoid()),
    "interpolated": lambda m, x: (
        x * F.interpolate(m.spatial(F.avg_pool2d(x, 2)).sigmoid(), size=x.shape[2:])
    ),
    "viewed": lambda m, x: x * m.channel(pooled(x)).flatten(1).sigmoid()[:, :, None, None],
    "einsum": lambda m, x: torch.einsum(
        "bchw,bc->bchw", x, m.channel(pooled(x)).flatten(1).sigmoid()
    ),
    "two gates in one": lambda m, x: x * (m.channel(pooled(x)).sigmoid() * m.spatial(x).sigmoid()),
    "full size": lambda m, x: x * m.channel(x).sigmoid(),
    "softmax over positions": lambda m, x: (
        x * m.spatial(x).flatten(2).softmax(-1).unflatten(2, x.shape[2:])
    ),
    "relu shared by channels": lambda m, x: x * m.spatial(x).relu(),
    "clamp shared by channels": lambda m, x: x * (m.spatial(x) / 6 + 0.5).clamp(0, 1),
    "energy of each neuron": lambda m, x: (
        x * ((x - pooled(x)) ** 2 / (4 * x.var((2, 3), keepdim=True) + 1e-4) + 0.5).sigmoid()
    ),
    "of rectified features": lambda m, x: (
        (y := F.relu(m.other(x))) * m.channel(pooled(y)).sigmoid()
    ),
}

NO_GATES = {
    "relu network": lambda m, x: m.channel(F.relu(m.norm(m.other(x)))) + x,
    "relu times map": lambda m, x: F.relu(m.other(x)) * m.channel(x),
    "silu": lambda m, x: (y := m.channel(x)) * torch.sigmoid(y),
    "swish with beta": lambda m, x: x * torch.sigmoid(1.702 * x),
    "swish with learned beta": lambda m, x: x * torch.sigmoid(m.spatial.weight.mean() * x),
    "swish of a view": lambda m, x: x.flatten(2) * torch.sigmoid(x).flatten(2),
    "hard swish": lambda m, x: x * F.relu6(x + 3) / 6,
    "hard swish in place": lambda m, x: x * F.relu6(x + 3, inplace=True).div_(6),
    "gelu by tanh": lambda m, x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.0447 * x**3))),
    "mish": lambda m, x: x * torch.tanh(F.softplus(x)),
    "squared relu": lambda m, x: x * F.relu(x),
    "gated linear unit": lambda m, x: (y := m.twice(x).chunk(2, 1))[0] * torch.sigmoid(y[1]),
    "glu": lambda m, x: F.glu(m.twice(x), 1),
    "dropout": lambda m, x: x * (torch.rand_like(x) > 0.5).to(x.dtype) / 0.5,
    "drop path": lambda m, x: x * x.new_empty(2, 1, 1, 1).bernoulli_(0.5),
    "sigmoid output": lambda m, x: m.spatial(x).sigmoid(),
    "layer scale": lambda m, x: x * m.channel.bias[:, None, None],
}


@pytest.fixture
def x():
    return torch.randn(2, 8, 6, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("grad", [True, False])
def test_a_gate_is_found(name, grad, x):
    model = Net(GATES[name]).eval()
    with torch.set_grad_enabled(grad), capture(model) as seen:
        output = model(x)
    assert torch.equal(output, model(x))
    (record,) = seen.calls("Net")
    assert record.kind == "gate"
    assert record.provenance == "exact"
    torch.testing.assert_close(record.tensors.output, output)
    torch.testing.assert_close(record.gate * record.tensors.value, output)
    assert (record.grid.rows, record.grid.cols) == (6, 4)


@pytest.mark.parametrize("name", NO_GATES)
def test_an_activation_function_is_no_gate(name, x):
    model = Net(NO_GATES[name]).train()
    with pytest.raises(NothingCaptured, match="no attention ran in Net"), capture(model):
        model(x)


def test_scores_are_what_went_into_the_gate(x):
    for name in ("squeeze excite", "hard sigmoid in place", "in place"):
        model = Net(GATES[name])
        with capture(model) as seen:
            model(x)
        tensors = seen["Net"].tensors
        squash = F.hardsigmoid if "hard" in name else torch.sigmoid
        torch.testing.assert_close(squash(tensors.scores), tensors.weights)


@pytest.mark.parametrize(
    "scores",
    [
        lambda q, k: (q * k).sum(1, keepdim=True),
        lambda q, k: torch.einsum("bchw,bchw->bhw", q, k).unsqueeze(1) / 8**0.5,
        lambda q, k: torch.mul(q, k).mean(dim=1, keepdim=True) + 0.1,
    ],
)
def test_query_and_key_of_the_textbook_gate(scores, x):
    def gate(m, x):
        m.qk = m.channel(x), m.other(x)
        return scores(*m.qk).sigmoid() * x

    model = Net(gate)
    with capture(model) as seen:
        model(x)
    assert seen["Net"].tensors.query is model.qk[0]
    assert seen["Net"].tensors.key is model.qk[1]


def test_each_gate_of_a_module_is_a_call_of_its_own(x):
    def two(m, x):
        x = x * m.channel(pooled(x)).sigmoid()
        return x * m.spatial(x).sigmoid()

    model = Net(two)
    with capture(model) as seen:
        output = model(x)
    channel, spatial = seen.calls("Net")
    assert (channel.call, spatial.call) == (0, 1)
    assert channel.gate.shape == (2, 8, 1, 1)
    assert spatial.gate.shape == (2, 1, 6, 4)
    assert channel.tensors.output is spatial.tensors.value
    assert spatial.tensors.output is output


def test_features_whose_axes_were_turned_are_not_placed(x):
    def turned(m, x):
        y = x.permute(0, 2, 1, 3).contiguous()
        return y * y.mean(1, keepdim=True).sigmoid()

    with capture(model := Net(turned)) as seen:
        model(x)
    assert seen["Net"].grid is None


def test_a_tensor_that_dies_is_not_mistaken_for_a_new_one():
    """Many short-lived sigmoids, then products of tensors that may reuse their identity."""

    def churn(m, x):
        for _ in range(50):
            torch.sigmoid(m.spatial(x))
            x = m.other(x) * m.channel(x)
        return x

    with pytest.raises(NothingCaptured), capture(model := Net(churn)), torch.no_grad():
        model(torch.randn(2, 8, 6, 4))
