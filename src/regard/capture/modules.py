"""Which module of the model is running: it names the site."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from regard.capture.compiled import ORIGINAL, is_wrapper
from regard.core.seeding import RandomState


class Running(NamedTuple):
    """A module that is running now.

    Attributes:
        name: its name in the model; the model's class name for the model itself.
        module: the module.
        input_shape: the shape of the first floating-point tensor that it was given.

    """

    name: str
    module: nn.Module
    input_shape: tuple[int, ...] | None


@dataclass(frozen=True)
class OutermostCall:
    """A call of a module of the model that came from the user, and what it was given."""

    name: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random: RandomState


def _first_shape(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int, ...] | None:
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor) and value.is_floating_point():
            return tuple(value.shape)
    return None


def named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield all modules with the names of their sites; a compiler's wrapper is none of them."""
    for name, module in model.named_modules():
        if not is_wrapper(module):
            parts = [part for part in name.split(".") if part != ORIGINAL]
            yield ".".join(parts) or type(model).__name__, module


# Layers that compute no attention themselves and make no map of another size: most of a network's
# modules, and hooks on them most of what following it would cost.
_PLAIN_LAYERS = frozenset(
    [
        nn.BatchNorm2d,
        nn.Dropout,
        nn.Embedding,
        nn.GELU,
        nn.GroupNorm,
        nn.Hardswish,
        nn.Identity,
        nn.LayerNorm,
        nn.Linear,
        nn.ReLU,
        nn.ReLU6,
        nn.Sigmoid,
        nn.SiLU,
        nn.Softmax,
        nn.Tanh,
    ]
)


class ModuleStack:
    """The modules that are running, kept up to date by hooks; plain layers are passed over.

    Attributes:
        model: the outermost of them.
        names: of all modules.
        ever_ran: True once any of them was called.
        outermost: the first call of each module that was called from outside the model.
        maps: (rows, cols) of every map that one of them put out.

    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._named = tuple(named_modules(model))
        self.names = {name for name, _ in self._named}
        self.ever_ran = False
        self.outermost: dict[str, OutermostCall] = {}
        self.maps: set[tuple[int, int]] = set()
        self._running: list[Running] = []

    def constants(self) -> frozenset[int]:
        """Return the ids of the model's parameters and buffers."""
        own = (held for _, m in self._named for held in (m._parameters, m._buffers))
        return frozenset(id(tensor) for held in own for tensor in held.values())

    @property
    def innermost(self) -> Running | None:
        """The module that is running now, or None outside the model."""
        return self._running[-1] if self._running else None

    @property
    def running(self) -> tuple[Running, ...]:
        """All modules that are running, outermost first."""
        return tuple(self._running)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep the stack up to date inside the block; afterwards the hooks are gone, always."""
        hooks: list[torch.utils.hooks.RemovableHandle] = []
        try:
            for name, module in self._named:
                if module is not self.model and type(module) in _PLAIN_LAYERS:
                    continue
                enter = partial(self._enter, name)
                hooks.append(
                    module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True)
                )
                hooks.append(module.register_forward_hook(self._leave, always_call=True))
            yield
        finally:
            for hook in hooks:
                hook.remove()
            self._running.clear()

    def _enter(
        self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.ever_ran = True
        if not self._running:
            self._remember(name, module, args, kwargs)
        with torch._C.DisableTorchFunction():  # our own questions need not be intercepted
            shape = _first_shape(args, kwargs)
        self._running.append(Running(name, module, shape))

    def _remember(
        self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if name not in self.outermost:
            with torch._C.DisableTorchFunction():
                now = RandomState.now()
            self.outermost[name] = OutermostCall(name, module, args, kwargs, now)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        with torch._C.DisableTorchFunction():
            if isinstance(output, Tensor) and output.dim() == 4:
                self.maps.add((output.shape[2], output.shape[3]))
        # A pre-hook of the user's may have raised before ours, which then never entered.
        if self._running and self._running[-1].module is module:
            self._running.pop()
