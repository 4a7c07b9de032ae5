"""Running somebody's module without leaving a trace in its flags."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module and its children in eval mode; restore each one's flag, also after an exception.

    The flags are set one by one and `train()` is not called: models override it, to freeze
    statistics or to fold weights.
    """
    flags = [(child, child.training) for child in module.modules()]
    try:
        for child, _ in flags:
            child.training = False
        yield
    finally:
        for child, flag in flags:
            child.training = flag
