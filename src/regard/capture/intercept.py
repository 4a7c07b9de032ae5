"""Stand between the model and torch: every torch function that the model calls passes here."""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

from torch import Tensor
from torch._C._functorch import maybe_current_level
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from regard.capture.held import Held
from regard.capture.observer import Call, Observer
from regard.capture.rules import RULES, Rule, overwrites_what_matters

# Written in Python, and its softmax inside is what is looked for.
_COMPOSITE = F.multi_head_attention_forward.__name__

# In place by name, but not in value.
_HARMLESS = frozenset({"requires_grad_", "detach_", "retain_grad", "rename_", "share_memory_"})


def bare_name(func: Callable[..., Any]) -> str:
    """Return a torch function's name: `softmax`, `mul_`, or the property's for a property."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", "")
    return name.removeprefix("special_")


class Known(NamedTuple):
    """What is known of a torch function by its name: found once, and asked for at every call.

    Attributes:
        name: without the underscore of in-place calls.
        writes: True if it overwrites its first argument.
        rule: what the observer makes of it, if anything.

    """

    name: str
    writes: bool
    rule: Rule | None


def _known(func: Callable[..., Any]) -> Known:
    name = bare_name(func)
    in_place = name.endswith("_") and not name.endswith("__")
    writes = (in_place and name not in _HARMLESS) or name in {"__setitem__", "__set__"}
    name = name.removesuffix("_") if in_place else name
    return Known(name, writes, RULES.get(name))


def _written(writes: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Return the tensor that a call is about to overwrite, if any."""
    out = kwargs.get("out")
    if isinstance(out, Tensor):
        return out
    if writes or kwargs.get("inplace") is True:
        target = args[0] if args else kwargs.get("input")
        return target if isinstance(target, Tensor) else None
    return None


class Interceptor(TorchFunctionMode):
    """Runs every function unchanged, and tells the observer about those that have a rule."""

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self.observer = observer
        self._functions: dict[Callable[..., Any], Known] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run `func`, then let its rule look at what went in and came out."""
        known = self._functions.get(func)
        if known is None:
            known = self._functions[func] = _known(func)
        name, writes, rule = known
        if rule is None and not writes and not kwargs and name != _COMPOSITE:
            return func(*args)
        kwargs = kwargs or {}
        if self.observer.away or maybe_current_level() is not None:
            return func(*args, **kwargs)  # under vmap a tensor has no memory to tell it by
        if name == _COMPOSITE:
            with self:
                return _looked_into(func)(*args, **kwargs)
        target = _written(writes, args, kwargs) if writes or kwargs else None
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
