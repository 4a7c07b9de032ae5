"""Attention off: equal to what a few lines of plain torch give, and nothing left behind."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import regard.attention
from regard.core.errors import InputError
from regard.core.seeding import seeded
from regard.explain.switch_off import Switchboard


class Classifier(nn.Module):
    """Two convolutions, an attention site, a head."""

    def __init__(self, attention):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.attention = attention
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.attention(self.stem(x).relu()).mean((2, 3)))


class Gate(nn.Module):
    """Squeeze-and-excitation in two lines, or its mean."""

    def __init__(self, mean=False):
        super().__init__()
        self.excite = nn.Linear(8, 8)
        self.mean = mean

    def forward(self, x):
        gate = torch.sigmoid(self.excite(x.mean((2, 3))))[:, :, None, None]
        return x * (gate.mean() if self.mean else gate)


class Masked(nn.Module):
    """Softmax and matmul written out; the later keys are hidden from the earlier queries."""

    def __init__(self, uniform=False):
        super().__init__()
        self.query = nn.Linear(8, 8)
        self.uniform = uniform

    def forward(self, x):
        tokens = x.flatten(2).mT
        seen = torch.ones(tokens.shape[1], tokens.shape[1]).tril().bool()
        weights = torch.softmax((self.query(tokens) @ tokens.mT).masked_fill(~seen, -torch.inf), -1)
        if self.uniform:
            weights = seen / seen.sum(-1, keepdim=True)
        return (weights @ tokens).mT.unflatten(2, x.shape[2:])


class Linear(nn.Module):
    """Kernelised attention, or the mean of its values."""

    def __init__(self, uniform=False):
        super().__init__()
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)
        self.uniform = uniform

    def forward(self, x):
        v = x.flatten(2).mT[:, None]
        q, k = F.elu(self.query(v)) + 1, F.elu(self.key(v)) + 1
        mixed = (q @ (k.mT @ v)) / (q @ k.sum(-2, keepdim=True).mT)
        if self.uniform:
            mixed = v.mean(-2, keepdim=True).expand_as(v)
        return mixed[:, 0].mT.unflatten(2, x.shape[2:])


def classifier(attention):
    with seeded(0):
        model = Classifier(attention())
        for parameter in model.parameters():
            parameter.data.normal_(0, 0.7)
        return model, torch.rand(1, 3, 8, 8)


@pytest.mark.parametrize(
    ("on", "off"),
    [
        (Gate, lambda: Gate(mean=True)),
        (Masked, lambda: Masked(uniform=True)),
        (Linear, lambda: Linear(uniform=True)),
    ],
    ids=["gate", "softmax-then-matmul", "linear"],
)
def test_off_is_what_the_definition_says(on, off):
    model, image = classifier(on)
    uniform, _ = classifier(off)
    board = Switchboard(model, image)
    (record,) = board.records
    with torch.no_grad():
        torch.testing.assert_close(board.output, model(image))
        torch.testing.assert_close(board.without([record]), uniform(image))
        assert (board.output - uniform(image)).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["scaled_dot_product", "multi_head"])
def test_fused_attention_off_is_a_query_that_asks_nothing(name):
    model, image = classifier(lambda: regard.attention.create(name, 8))
    blind = copy.deepcopy(model)
    for part, tensor in blind.named_parameters():
        if part.startswith(("attention.query", "attention.bias")):
            tensor.data.zero_()
    board = Switchboard(model, image)
    off = board.without(board.records)
    torch.testing.assert_close(off, blind(image).detach())
    assert (off - board.output).abs().max() > 1e-3


def test_multi_head_module_of_torch_can_be_switched_off():
    with seeded(0):
        layer = nn.MultiheadAttention(8, 2, batch_first=True)
        tokens = torch.randn(1, 5, 8)
    board = Switchboard(_Self(layer), tokens)
    off = board.without(board.records)
    assert (off - off[:, :1]).abs().max() < 1e-6, "every query gets the same mean"
    assert (board.output - off).abs().max() > 1e-3


class _Self(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x, x, x, need_weights=False)[0]


def test_each_site_is_switched_off_alone_or_together():
    with seeded(0):
        model = Classifier(nn.Sequential(Gate(), Masked()))
        image = torch.rand(1, 3, 8, 8)
    board = Switchboard(model, image)
    first, second = board.records
    outputs = [board.without(off) for off in ([], [first], [second], [first, second])]
    torch.testing.assert_close(outputs[0], board.output)
    for place, one in enumerate(outputs):
        for other in outputs[place + 1 :]:
            assert (one - other).abs().max() > 1e-5


class Fickle(nn.Module):
    """Computes something else every time."""

    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.runs = 0

    def forward(self, x):
        self.runs += 1
        for _ in range(self.runs):
            x = self.gate(x)
        return x


def test_a_model_that_changes_between_runs_is_refused():
    board = Switchboard(Fickle(), torch.rand(1, 8, 4, 4))
    with pytest.raises(InputError, match="does not compute the same thing twice"):
        board.without(board.records[:1])


def test_records_of_another_run_are_refused():
    model, image = classifier(Gate)
    board, other = Switchboard(model, image), Switchboard(model, image)
    with pytest.raises(InputError, match="not a record of this run"):
        board.without(other.records)


def test_the_model_is_left_as_it_was():
    model, image = classifier(Gate)
    model.train()
    before = copy.deepcopy(model.state_dict())
    board = Switchboard(model, image)
    board.without(board.records)
    model.head = nn.Linear(3, 4)
    with pytest.raises(RuntimeError):
        board.without(board.records)
    assert all(module.training for module in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(
        torch.equal(before[name], value)
        for name, value in model.state_dict().items()
        if not name.startswith("head")
    )
