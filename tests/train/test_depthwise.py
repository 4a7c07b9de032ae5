"""Depthwise convolutions in bfloat16: the gradients are right, and nothing else changes."""

import pytest
import torch
from torch import Tensor, nn

from regard.data import Batches, scenes
from regard.train import Recipe, depthwise, fit, start_fabric
from regard.train.depthwise import QuickDepthwise, quick_depthwise


def gradients(layer: nn.Conv2d, x: Tensor, dtype: torch.dtype | None) -> list[Tensor]:
    """Return the output and the gradients of a weighted sum of it, under autocast or not."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        y = layer(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape)
    (y * weights.to(y.dtype)).sum().backward()
    assert x.grad is not None
    return [
        y.detach(),
        x.grad,
        *(each.grad for each in layer.parameters() if each.grad is not None),
    ]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_those_of_the_rounded_tensors(kernel, stride, dilation, bias) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 12, kernel, stride, kernel // 2, dilation, groups=6, bias=bias)
    layer.requires_grad_()
    with torch.no_grad():  # so that autocast rounds nothing, and float64 is the truth
        for each in layer.parameters():
            each.copy_(each.bfloat16().float())
    x = torch.randn(3, 6, 11, 9).bfloat16().float()
    with QuickDepthwise():
        found = gradients(layer, x, torch.bfloat16)
    exact = nn.Conv2d(6, 12, kernel, stride, kernel // 2, dilation, groups=6, bias=bias).double()
    exact.load_state_dict(layer.state_dict())
    for one, truth in zip(found, gradients(exact, x.double(), None), strict=True):
        assert (one.double() - truth).norm() <= 0.01 * truth.norm()


def test_the_gradient_of_the_weights_is_summed_in_float32(monkeypatch) -> None:
    types = []
    backward = torch.ops.aten.convolution_backward

    def noted(gradient: Tensor, *rest):
        types.append((gradient.dtype, tuple(rest[-1])))
        return backward(gradient, *rest)

    monkeypatch.setattr(depthwise, "_convolution_backward", noted)
    layer = nn.Conv2d(4, 4, 3, 2, 1, groups=4, bias=False)
    with QuickDepthwise():
        gradients(layer, torch.randn(2, 4, 8, 8), torch.bfloat16)
    assert types == [
        (torch.float32, (True, False, False)),  # of the input, since there are strides
        (torch.float32, (False, True, False)),
    ]


@pytest.mark.parametrize(
    ("layer", "dtype"),
    [
        (nn.Conv2d(4, 4, 3, groups=4), None),  # no autocast
        (nn.Conv2d(4, 4, 3), torch.bfloat16),  # not depthwise
        (nn.Conv2d(4, 4, 3, groups=2), torch.bfloat16),  # groups of more than one channel
        (nn.Conv2d(4, 4, 3, padding="same", groups=4), torch.bfloat16),  # padding by a word
    ],
)
def test_all_else_is_left_alone(layer: nn.Conv2d, dtype: torch.dtype | None) -> None:
    x = torch.randn(2, 4, 8, 8)
    alone = gradients(layer, x, dtype)
    alone = [each.clone() for each in alone]
    with QuickDepthwise():
        found = gradients(layer, x, dtype)
    for one, other in zip(found, alone, strict=True):
        assert torch.equal(one, other)


def test_the_output_is_that_of_autocast_bit_for_bit() -> None:
    layer, x = nn.Conv2d(8, 8, 5, 2, 2, groups=8), torch.randn(2, 8, 12, 12)
    plain = gradients(layer, x, torch.bfloat16)[0]
    with QuickDepthwise():
        assert torch.equal(gradients(layer, x, torch.bfloat16)[0], plain)


def test_gradients_of_gradients_flow() -> None:
    layer, x = nn.Conv2d(4, 4, 3, groups=4), torch.randn(1, 4, 6, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16), QuickDepthwise():
        y = layer(x).float()
    (first,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    (first**2).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().sum() > 0


def test_it_is_over_when_it_is_left_by_an_exception(monkeypatch) -> None:
    def never(*_):
        raise AssertionError

    with pytest.raises(ZeroDivisionError), QuickDepthwise():
        raise ZeroDivisionError
    monkeypatch.setattr(depthwise._Depthwise, "apply", never)
    with torch.autocast("cpu", torch.bfloat16):
        nn.Conv2d(4, 4, 3, groups=4)(torch.randn(1, 4, 6, 6))


def test_training_uses_it(monkeypatch, tmp_path) -> None:
    seen = []
    apply = depthwise._Depthwise.apply
    monkeypatch.setattr(
        depthwise._Depthwise, "apply", lambda *given: seen.append(1) or apply(*given)
    )
    network = nn.Sequential(
        nn.Conv2d(3, 3, 3, groups=3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10)
    )
    batches = Batches(scenes.make(16, seed=0).as_dataset(), 8)
    fabric = start_fabric("cpu", "bf16")
    fit(network, batches, out=tmp_path, recipe=Recipe(epochs=1), fabric=fabric, quiet=True)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("layer", "device", "quick"),
    [
        (nn.Conv2d(4, 8, 3, groups=4), "cpu", True),
        (nn.Conv2d(4, 8, 3, groups=4), "cuda", False),
        (nn.Conv2d(4, 8, 3, groups=2), "cpu", False),
        (nn.Conv2d(1, 8, 3), "cpu", False),
    ],
)
def test_it_is_entered_only_where_there_is_something_to_gain(layer, device, quick) -> None:
    entered = quick_depthwise(nn.Sequential(layer), torch.device(device))
    assert isinstance(entered, QuickDepthwise) == quick
