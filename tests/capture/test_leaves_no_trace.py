"""Capture changes nothing, keeps what the model overwrites, and is gone afterwards."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import _len_torch_function_stack

from regard.capture import capture
from regard.core.errors import NothingCaptured


class Block(nn.Module):
    """Fused attention, softmax attention and a gate, with the in-place calls of real networks."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.excite = nn.Linear(8, 8)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = (q @ k.mT / 2).softmax(-1) @ mixed
        mixed = mixed.transpose(1, 2).flatten(2)
        gated = mixed * self.excite(mixed.mean(1, keepdim=True)).sigmoid()
        gated += x
        return self.act(gated)


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.fixture
def x():
    return torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "mode", [torch.enable_grad, torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")]
)
@pytest.mark.parametrize("training", [True, False])
def test_output_is_bitwise_the_same(mode, training, x):
    model = Block().train(training)
    with mode():
        expected = model(x)
        with capture(model) as seen:
            output = model(x)
    assert torch.equal(output, expected)
    assert [r.kind for r in seen.calls("Block")] == ["softmax", "softmax", "gate"]
    assert model.training is training


def test_gradients_are_the_same_and_flow_through_records(x):
    model = Block()
    model(x).square().sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with capture(model) as seen:
        loss = model(x).square().sum()
    fused, open_, gate = seen.calls("Block")
    on_the_way = [open_.tensors.weights, fused.tensors.output, gate.gate, gate.tensors.output]
    for grad in torch.autograd.grad(loss, on_the_way, retain_graph=True):
        assert grad.abs().sum() > 0
    fused.operator.rows(0).square().sum().backward(retain_graph=True)
    assert model.qkv.weight.grad.abs().sum() > 0
    model.zero_grad()
    loss.backward()
    for parameter, grad in zip(model.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, grad)


@pytest.mark.parametrize("grad", [True, False])
def test_what_the_model_overwrites_is_kept_as_it_was(grad, x):
    """`gated += x` and the in-place ReLU change the gate's output; the record keeps it."""
    model = Block()
    with torch.set_grad_enabled(grad), capture(model) as seen:
        model(x)
    assert seen.verify()["Block"] < 1e-6
    gate = seen.calls("Block")[-1].tensors
    assert (gate.output < 0).any()


def test_everything_is_restored_after_an_exception(x):
    model = Block()
    model.act.register_forward_pre_hook(_raise)
    before, depth = hooks_of(model), _len_torch_function_stack()
    with pytest.raises(ZeroDivisionError), capture(model):
        model(x)
    assert hooks_of(model) == before
    assert _len_torch_function_stack() == depth


def _raise(*_):
    raise ZeroDivisionError


def test_an_exception_of_the_block_is_not_masked_by_nothing_captured():
    model = nn.Linear(2, 2)
    with pytest.raises(KeyError), capture(model):
        raise KeyError("mine")
    assert hooks_of(model) == 0


def test_nothing_is_left_after_nothing_captured():
    model, depth = nn.Linear(2, 2), _len_torch_function_stack()
    with pytest.raises(NothingCaptured), capture(model):
        model(torch.ones(1, 2))
    assert hooks_of(model) == 0
    assert _len_torch_function_stack() == depth


def test_a_module_that_raises_and_is_caught_does_not_misname_the_rest(x):
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.good = nn.Bilinear(1, 1, 1), Block()

        def forward(self, x):
            with pytest.raises(RuntimeError):
                self.bad(x, x)
            return F.scaled_dot_product_attention(x, x, self.good(x))

    with capture(model := Tries()) as seen:
        model(x)
    assert list(seen) == ["good", "Tries"]


def test_no_tensor_outlives_what_was_seen(x):
    """Without the garbage collector's help, so that there are no cycles either."""
    model, kept = Block(), []

    def note(module, args, output):
        kept.append(weakref.ref(output))

    model.qkv.register_forward_hook(note)
    gc.disable()
    try:
        with torch.no_grad(), capture(model) as seen:
            model(x)
        seen.verify()
        assert kept[0]() is not None or seen["Block"].tensors.query._base is not None
        storage = weakref.ref(seen["Block"].tensors.query)
        del seen
        assert storage() is None
        assert kept[0]() is None
    finally:
        gc.enable()


def test_nested_blocks_each_see_their_own(x):
    outer_model = nn.Sequential(Block(), Block())
    with capture(outer_model) as outer:
        with capture(outer_model[1]) as inner:
            output = outer_model(x)
        outer_model[0](x)
    assert list(outer) == ["0", "1"]
    assert list(inner) == ["Block"]
    assert len(outer.calls("0")) == 6
    assert len(inner.calls("Block")) == 3
    assert torch.equal(output, outer_model(x))


def test_other_models_in_the_block_are_not_seen(x):
    model, teacher = Block(), Block()
    with capture(model) as seen:
        teacher(x)
        model(x)
    assert len(seen.calls("Block")) == 3
