"""Compiled models are captured as they were written, and stay compiled; graphs are refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.capture import capture
from regard.capture.compiled import original
from regard.core.errors import InputError, NothingCaptured


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Attention(), Attention()

    def forward(self, x):
        return self.second(self.first(x))


class Counter:
    """A compiler that counts how often it is asked, and runs what it gets as it is."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, example_inputs):
        self.graphs += 1
        return graph.forward


@pytest.fixture
def x():
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def wrapped(model, counter):
    return torch.compile(model, backend=counter)


def in_place(model, counter):
    model.compile(backend=counter)
    return model


def part(model, counter):
    model.second = torch.compile(model.second, backend=counter)
    return model


@pytest.mark.parametrize("compiled_by", [wrapped, in_place, part])
def test_captured_on_the_original_and_still_compiled(compiled_by, x):
    counter = Counter()
    model = compiled_by(Net(), counter)
    with torch.no_grad():
        expected = model(x)
        graphs = counter.graphs
        assert graphs >= 1
        with capture(model) as seen:
            output = model(x)
        assert torch.equal(output, expected)
        assert counter.graphs == graphs
        model(x)
    assert counter.graphs == graphs, "the capture made the model compile again"
    assert list(seen) == ["first", "second"]
    assert max(seen.verify().values()) < 1e-6


def test_what_was_never_run_is_compiled_after_the_block(x):
    counter = Counter()
    model = wrapped(Net(), counter)
    with capture(model):
        model(x)
    assert counter.graphs == 0
    model(x)
    assert counter.graphs == 1


def test_compiled_again_after_an_exception(x):
    counter = Counter()
    model = wrapped(Net(), counter)
    with pytest.raises(ZeroDivisionError), capture(model):
        raise ZeroDivisionError
    model(x)
    assert counter.graphs == 1


def test_graphs_are_refused(x):
    program = torch.export.export(Net(), (x,))
    with pytest.raises(InputError, match="the module that it was exported from"):
        original(program)
    with pytest.raises(InputError, match="exported graph"), capture(program.module()):
        pass
    with pytest.raises(InputError, match="TorchScript"), capture(torch.jit.trace(Net(), x)):
        pass


def test_a_traced_graph_of_functions_is_captured(x):
    """`torch.fx` keeps modules and functions, and feature extractors are made by it."""
    model = torch.fx.symbolic_trace(Net())
    with capture(model) as seen:
        model(x)
    assert len(seen) == 1


def test_a_script_inside_a_model_is_passed_over(x):
    model = nn.Sequential(torch.jit.trace(nn.Linear(8, 8), x), Attention())
    with capture(model) as seen:
        model(x)
    assert list(seen) == ["1"]
    with pytest.raises(NothingCaptured), capture(outer := nn.Sequential(model[0])):
        outer(x)
