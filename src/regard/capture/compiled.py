"""Compiled models: which can be seen into, and how."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from regard.core.errors import InputError

# The module inside what torch.compile returns; it stays reachable under this name.
ORIGINAL = "_orig_mod"

# Where one of these was imported, something may be compiled. It takes a second to import, so that
# nothing else does so.
_COMPILERS = ("torch._dynamo", "torch.nn.attention.flex_attention")


def is_wrapper(module: nn.Module) -> bool:
    """Return True for what `torch.compile(module)` returns."""
    return ORIGINAL in module._modules


def original(model: Any) -> nn.Module:
    """Return the module that attention can be captured of: itself, or what it was compiled from.

    Raises:
        InputError: it is no module, or one that does not run as Python code any more.

    """
    if "torch.export" in sys.modules and isinstance(model, torch.export.ExportedProgram):
        raise InputError(
            "an ExportedProgram is a graph without modules, whose attention has no names; capture "
            "the module that it was exported from"
        )
    if not isinstance(model, nn.Module):
        raise InputError(
            f"capture needs a torch.nn.Module, got {type(model).__name__}; "
            "pass the module that computes the attention"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            f"{type(model).__name__} is TorchScript, which runs outside Python where capture "
            "cannot see it; capture the module that it was made from"
        )
    if isinstance(model, torch.fx.GraphModule) and _is_exported(model):
        raise InputError(
            f"{type(model).__name__} is an exported graph, without the functions and modules that "
            "attention is known by; capture the module that it was exported from"
        )
    inner = model._modules.get(ORIGINAL)
    return model if inner is None else original(inner)


def _is_exported(model: torch.fx.GraphModule) -> bool:
    """Return True for a graph of operators, as export makes it; tracing keeps functions."""
    return any(isinstance(node.target, torch._ops.OpOverload) for node in model.graph.nodes)


@contextmanager
def running_eagerly() -> Iterator[None]:
    """Let everything that was compiled run as it is written; afterwards it is as it was."""
    if any(name in sys.modules for name in _COMPILERS):
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield
