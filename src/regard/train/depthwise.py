"""Depthwise convolutions in bfloat16 on a CPU, with gradients that are not slow.

oneDNN multiplies bfloat16 faster than float32 everywhere but in two places: the gradient of the
weights of a depthwise convolution, and that of its input where it has strides, which take up to
twenty-five times as long. Networks of the MobileNet and EfficientNet families consist of them. Here
just those gradients are computed in float32, from the same rounded tensors; the rest stays as
autocast has it. `benchmarks/depthwise_cost.py` measures what comes of it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def quick_depthwise(model: nn.Module, device: torch.device) -> AbstractContextManager[object]:
    """Return what to enter around a model's forward pass: nothing where there is nothing to gain.

    The mode looks at every call of torch, which costs a little.
    """
    gains = device.type == "cpu" and any(
        isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels
        for module in model.modules()
    )
    return QuickDepthwise() if gains else nullcontext()


_convolution_backward: Callable[..., Any] = torch.ops.aten.convolution_backward


class QuickDepthwise(TorchFunctionMode):
    """While entered, depthwise convolutions under CPU autocast are differentiated quickly.

    Anything else, and all of it without autocast, runs as it would.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Take the place of `conv2d` where it is depthwise and in bfloat16."""
        kwargs = kwargs or {}
        if func is torch.conv2d and _in_bfloat16_on_cpu():
            convolution = _arguments(*args, **kwargs)
            if _is_depthwise(convolution):
                return _Depthwise.apply(*convolution)
        return func(*args, **kwargs)


class _Depthwise(torch.autograd.Function):
    """`conv2d` in bfloat16, whose slow gradients are computed in float32."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
    ) -> Tensor:
        """Convolve what autocast would convolve, in its type."""
        x, w = input.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x, w)
        ctx.types = input.dtype, weight.dtype, None if bias is None else bias.dtype
        ctx.geometry = stride, padding, dilation, groups
        bias = None if bias is None else bias.bfloat16()
        return torch.conv2d(x, w, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Give the gradients of input, weight and bias, and none of the geometry."""
        (gradient,) = gradients
        x, w = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        geometry = (stride, padding, dilation, False, [0, 0], groups)
        # Of a strided convolution, the input's gradient is slow as well.
        inputs = torch.float32 if any(step > 1 for step in stride) else torch.bfloat16

        def gradient_of(dtype: torch.dtype, mask: list[bool]) -> Any:
            each = (tensor.to(dtype) for tensor in (gradient, x, w))
            return _convolution_backward(*each, None, *geometry, mask)

        found: list[Tensor | None] = [None, None, None]
        if needs_input:
            found[0] = gradient_of(inputs, [True, False, False])[0]
        if needs_weight:
            found[1] = gradient_of(torch.float32, [False, True, False])[1]
        if needs_bias:
            found[2] = gradient.float().sum((0, 2, 3))
        typed = [
            None if one is None else one.to(dtype)
            for one, dtype in zip(found, ctx.types, strict=True)
        ]
        return *typed, None, None, None, None


def _in_bfloat16_on_cpu() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def _arguments(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, ...]:
    """Return `conv2d`'s arguments in order, with numbers for both axes; padding may be a word."""
    padding = padding if isinstance(padding, str) else _both(padding)
    return input, weight, bias, _both(stride), padding, _both(dilation), groups


def _both(number: Any) -> list[int]:
    pair = [number] if isinstance(number, int) else list(number)
    return pair * 2 if len(pair) == 1 else pair


def _is_depthwise(convolution: tuple[Any, ...]) -> bool:
    input, weight, _, _, padding, _, groups = convolution
    return (
        groups > 1
        and weight.shape[1] == 1
        and input.device.type == "cpu"
        and input.dim() == 4
        and not isinstance(padding, str)
        and torch.is_grad_enabled()
    )
