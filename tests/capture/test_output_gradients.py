"""Gradients of what attention put out: of the model's own tensors, laid out as in the records."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.capture import capture
from regard.core.errors import InputError

TOKENS, HEADS, WIDTH = 5, 2, 3


class Attention(nn.Module):
    """Attention whose output is changed in one way before it is read."""

    num_heads = HEADS

    def __init__(self, spelling, read):
        super().__init__()
        self.spelling, self.read = spelling, read

    def forward(self, x):  # (batch, token, heads · width)
        split = x.unflatten(2, (HEADS, WIDTH))
        if self.spelling == "fused":
            heads = split.transpose(1, 2)
            output = F.scaled_dot_product_attention(heads, 2 * heads, heads).transpose(1, 2)
        elif self.spelling == "einsum":
            weights = torch.einsum("bqhd,bkhd->bhqk", split, split).softmax(-1)
            output = torch.einsum("bhqk,bkhd->bqhd", weights, split)
        else:
            folded = split.transpose(1, 2).flatten(0, 1)
            output = (folded @ folded.mT).softmax(-1) @ folded
            output = output.unflatten(0, (-1, HEADS)).transpose(1, 2)
        return self.read(output)


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(HEADS * WIDTH, 1)

    def forward(self, x):
        return x * self.score(x).sigmoid()


def plain(output):
    return 3 * output


def in_place(output):
    return output.mul_(3)


@pytest.mark.parametrize("read", [plain, in_place])
@pytest.mark.parametrize("spelling", ["fused", "einsum", "folded"])
def test_the_gradient_is_laid_out_as_the_output(spelling, read):
    """The total is Σ c·3·output: the gradient is 3·c, whatever became of the output."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, TOKENS, HEADS * WIDTH, generator=generator, requires_grad=True)
    c = torch.randn(2, TOKENS, HEADS, WIDTH, generator=generator)
    model = Attention(spelling, read)
    with capture(model) as seen:
        result = model(x)
    (gradient,) = seen.output_gradients((result * c).sum())
    (record,) = seen.records
    torch.testing.assert_close(gradient, 3 * c.transpose(1, 2))
    torch.testing.assert_close(3 * record.tensors.output.transpose(1, 2), result)


def test_one_for_each_record_and_none_without_a_gradient():
    model = nn.Sequential(Attention("fused", plain), nn.Flatten(2), Gate())
    model.append(Attention("fused", plain))
    model.append(Attention("fused", torch.Tensor.detach))
    x = torch.randn(1, TOKENS, HEADS * WIDTH, requires_grad=True)
    with capture(model) as seen:
        kept = []
        hook = model[3].register_forward_hook(lambda _m, _a, output: output.flatten(2))
        last = model[4].register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
        model(x)
        hook.remove()
        last.remove()
    total = kept[0].sum()
    gradients = seen.output_gradients(total)
    assert [record.kind for record in seen.records] == ["softmax", "gate", "softmax", "softmax"]
    assert [gradient is None for gradient in gradients] == [False, True, False, True]
    assert x.grad is None
    assert all(parameter.grad is None for parameter in model.parameters())


def test_gates_where_they_are_asked_for():
    gate = Gate()
    x = torch.randn(1, TOKENS, HEADS * WIDTH)
    with capture(gate) as seen:
        result = gate(x)
    (gradient,) = seen.output_gradients(2 * result.sum(), kinds=("gate",))
    torch.testing.assert_close(gradient, torch.full_like(x, 2.0))


def test_what_is_refused():
    model = Attention("fused", plain)
    x = torch.randn(1, TOKENS, HEADS * WIDTH, requires_grad=True)
    with torch.no_grad(), capture(model) as seen:
        result = model(x)
    with pytest.raises(InputError, match="no gradient leads back from the score"):
        seen.output_gradients(result.sum())
    with capture(model, keep="operators") as seen:
        result = model(x)
    with pytest.raises(InputError, match='capture with keep="tensors"'):
        seen.output_gradients(result.sum())
