"""Running somebody's module on other tensors than its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def stand_ins(
    module: nn.Module,
    *,
    parameters: Callable[[Tensor], Tensor],
    buffers: Callable[[Tensor], Tensor],
) -> Iterator[None]:
    """Put functions of its parameters and buffers in their places; put them back, come what may.

    What the module writes to a stand-in is lost, in place or not. (`torch.func.functional_call`
    leaves the stand-ins behind where one module has two names.)
    """
    slots = [
        (tensors, name, tensor, make)
        for child in module.modules()
        for tensors, make in ((child._parameters, parameters), (child._buffers, buffers))
        for name, tensor in tensors.items()
        if tensor is not None
    ]
    # One for each tensor, so that what was shared stays shared.
    made = {id(tensor): make(tensor) for _, _, tensor, make in slots}
    try:
        for tensors, name, tensor, _ in slots:
            tensors[name] = made[id(tensor)]  # type: ignore[assignment]
        yield
    finally:
        for tensors, name, tensor, _ in slots:
            tensors[name] = tensor  # type: ignore[assignment]
