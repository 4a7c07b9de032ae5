"""What a module costs: its parameters, and the floating-point operations of one forward pass."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from regard.core.errors import InputError
from regard.core.modes import evaluating
from regard.core.stand_ins import stand_ins


@dataclass(frozen=True)
class Cost:
    """The cost of a module.

    Attributes:
        parameters: how many numbers are trained; a shared parameter counts once.
        flops: operations of the forward pass's convolutions, matrix products and fused attention,
            a multiply-add being two. Elementwise work, normalisation, pooling and softmax are not
            counted.

    """

    parameters: int
    flops: int


def cost(module: nn.Module, *input_shapes: tuple[int, ...]) -> Cost:
    """Count a module's parameters and the FLOPs of its forward pass in eval mode.

    Nothing is computed: the pass runs on the meta device, where tensors have shapes and no
    numbers, so size costs neither time nor memory. The module itself is left as it is.

    Args:
        module: any module whose forward takes tensors and does not look at their values.
        input_shapes: the shape of each input, the batch included.

    Raises:
        InputError: no shape was given.

    Example:
        >>> cost(nn.Conv2d(16, 32, 1), (1, 16, 8, 8))
        Cost(parameters=544, flops=65536)

    """
    if not input_shapes:
        raise InputError("cost needs the shape of each input, such as cost(module, (1, 64, 7, 7))")
    tensors = (*module.parameters(), *module.buffers())
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), None)
    inputs = [torch.empty(shape, device="meta", dtype=dtype) for shape in input_shapes]

    def shape_only(tensor: Tensor) -> Tensor:
        return torch.empty_like(tensor, device="meta")

    shapes = stand_ins(module, parameters=shape_only, buffers=shape_only)
    # There fused attention takes its plain form, two matrix products, which torch's counter counts;
    # for the CPU's fused kernel it has no formula and would call it free.
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), evaluating(module), shapes, counter:
        module(*inputs)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Cost(parameters=parameters, flops=counter.get_total_flops())
