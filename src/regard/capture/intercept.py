"""Stand between the model and torch: every torch function that the model calls passes here."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

from torch import Tensor
from torch._C._functorch import maybe_current_level
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from regard.capture.held import Held
from regard.capture.observer import Call, Observer
from regard.capture.rules import RULES, overwrites_what_matters

# In place by name, but not in value.
_HARMLESS = frozenset({"requires_grad_", "detach_", "retain_grad", "rename_", "share_memory_"})


def bare_name(func: Callable[..., Any]) -> str:
    """Return a torch function's name: `softmax`, `mul_`, or the property's for a property."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", "")
    return name.removeprefix("special_")


def _writes_into(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Return the tensor that a call is about to overwrite, if any."""
    out = kwargs.get("out")
    if isinstance(out, Tensor):
        return out
    by_name = name.endswith("_") and not name.endswith("__") and name not in _HARMLESS
    if by_name or name in {"__setitem__", "__set__"} or kwargs.get("inplace") is True:
        target = args[0] if args else kwargs.get("input")
        return target if isinstance(target, Tensor) else None
    return None


class Interceptor(TorchFunctionMode):
    """Runs every function unchanged, and tells the observer about those that have a rule."""

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self.observer = observer

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run `func`, then let its rule look at what went in and came out."""
        kwargs = kwargs or {}
        if self.observer.away or maybe_current_level() is not None:
            return func(*args, **kwargs)  # under vmap a tensor has no memory to tell it by
        if func is F.multi_head_attention_forward:
            with self:
                return _looked_into(func)(*args, **kwargs)
        name = bare_name(func)
        target = _writes_into(name, args, kwargs)
        if name.endswith("_") and not name.endswith("__"):
            name = name.removesuffix("_")
        rule = RULES.get(name)
        before: Held | None = None
        if target is not None:
            if rule is not None and overwrites_what_matters(self.observer, name, args):
                before = self.observer.keeper.hold(target)
            self.observer.keeper.before_write(target)
        result = func(*args, **kwargs)
        if rule is not None:
            rule(self.observer, Call(name, args, kwargs, result, before))
        elif target is not None:
            self.observer.book.discard(target)
        return result


def _looked_into(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy of a composite function that does not hand itself to the mode again.

    A function written in Python first asks whether a mode is active, and if so passes itself to
    the mode as a whole: what it calls inside would never be seen. The copy is told that there is
    none.
    """
    assert isinstance(func, FunctionType)
    blind = {**func.__globals__, "has_torch_function": lambda _: False}
    copy = FunctionType(func.__code__, blind, func.__name__, func.__defaults__, func.__closure__)
    copy.__kwdefaults__ = func.__kwdefaults__
    return copy
