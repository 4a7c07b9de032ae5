"""What the model says when attention is switched off at a site.

Off does not mean that the site is cut out: its output would then lie outside anything that the
later layers ever saw, and the drop would measure that. Off means that the choice is taken away
and everything else stays:

- softmax: every query gives the same weight to every key that it may see (masks stay);
- linear: the output is the mean of the values, which is the same thing;
- gate: the gate is replaced by its own mean over channels and positions.

No model is touched. The first run notes which call of a torch function made each site's
attention; a further run of the same image comes to the same calls in the same order, and there
the result, or the argument, is swapped.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from regard.capture import capture
from regard.core.errors import InputError
from regard.core.modes import evaluating
from regard.core.record import AttentionRecord, SiteKind

MEANINGS: Mapping[SiteKind, str] = {
    "softmax": "every query gives the same weight to every key that it may see. The values are "
    "still averaged, but what is in the image no longer decides which of them count.",
    "linear": "every query gives the same weight to every key, so that the output is the mean of "
    "the values.",
    "gate": "the gate is replaced by its own mean. On average as much passes as before, but no "
    "channel and no position is preferred.",
}

_FUSED = frozenset({"scaled_dot_product_attention"})
_SOFTMAX = frozenset({"softmax"})
_MULTIPLY = frozenset({"mul", "multiply", "__mul__", "__rmul__", "__imul__", "mul_", "multiply_"})
_LINEAR = frozenset({"div", "true_divide", "matmul", "bmm", "einsum", "__matmul__", "__truediv__"})
_NOTED = _FUSED | _SOFTMAX | _MULTIPLY | _LINEAR

# A softmax gives no visible key less than this: hidden keys are -inf, or -100 in Swin's masks.
_HIDDEN = 1e-30

Function = Callable[..., Any]
Swap = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]


class _Call(NamedTuple):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class _Notes(TorchFunctionMode):
    """Keeps every call that attention may be made of, in order.

    The tensors are kept alive until the run is over, so that no other tensor gets their memory and
    is taken for them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Call] = []

    def __torch_function__(
        self,
        func: Function,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if (name := _name(func)) in _NOTED:
            self.calls.append(_Call(name, args, kwargs, result))
        return result


class _Swaps(TorchFunctionMode):
    """Runs the swap in place of each call that has one; the calls are counted as `_Notes` does."""

    def __init__(self, swaps: Mapping[int, Swap]) -> None:
        super().__init__()
        self.swaps = swaps
        self.count = 0

    def __torch_function__(
        self,
        func: Function,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if _name(func) not in _NOTED:
            return func(*args, **kwargs)
        swap = self.swaps.get(self.count)
        self.count += 1
        return func(*args, **kwargs) if swap is None else swap(func, args, kwargs)


@dataclass(frozen=True)
class _Switch:
    index: int
    swap: Swap


class Switchboard:
    """A model and an image, run once with attention on, and then with chosen sites off.

    Args:
        model: any module; it runs in eval mode and without gradients, and is as before afterwards.
        batch: its input, one image.

    Attributes:
        output: what the model returned with attention on.
        records: what was captured, in the order of the forward pass.

    Raises:
        NothingCaptured: the model has no attention that can be seen.

    """

    def __init__(self, model: nn.Module, batch: Tensor) -> None:
        self.model = model
        self.batch = batch
        notes = _Notes()
        with evaluating(model), torch.no_grad(), notes, capture(model) as captured:
            self.output = model(batch)
        self.records = captured.records
        self._calls = len(notes.calls)
        self._switches = [_switch(record, notes.calls) for record in self.records]

    def can_switch_off(self, record: AttentionRecord) -> bool:
        """Return whether the call that made this site's attention was found."""
        return self._switches[self._place(record)] is not None

    def without(self, records: Iterable[AttentionRecord]) -> Any:
        """Return the model's output with attention switched off at these sites.

        Raises:
            InputError: a site's attention is made in a way that cannot be switched off.

        """
        swaps: dict[int, Swap] = {}
        for record in records:
            switch = self._switches[self._place(record)]
            if switch is None:
                raise InputError(
                    f"site {record.site!r} cannot be switched off: the call that made its "
                    "attention was not found; choose other sites"
                )
            swaps[switch.index] = switch.swap
        mode = _Swaps(swaps)
        # Capture runs too, because it is what looks into composite functions: the calls must come
        # in the order of the first run.
        with evaluating(self.model), torch.no_grad(), mode, capture(self.model, keep="operators"):
            output = self.model(self.batch)
        if mode.count != self._calls:
            raise InputError(
                f"{type(self.model).__name__} does not compute the same thing twice: "
                f"{self._calls} calls at first, {mode.count} now; its attention cannot be "
                "switched off by place"
            )
        return output

    def _place(self, record: AttentionRecord) -> int:
        for place, known in enumerate(self.records):
            if known is record:
                return place
        raise InputError(f"site {record.site!r} is not a record of this run; take one of .records")


def _switch(record: AttentionRecord, calls: list[_Call]) -> _Switch | None:
    if record.kind == "gate":
        return _gate_switch(record, calls)
    if record.kind == "linear":
        return _linear_switch(record, calls)
    return _softmax_switch(record, calls)


def _softmax_switch(record: AttentionRecord, calls: list[_Call]) -> _Switch | None:
    tensors = record.tensors
    for index, call in enumerate(calls):
        if call.name in _FUSED and _same(call.result, tensors.output):
            return _Switch(index, _uniform_fused)
        seen = _same(call.result, tensors.weights) or _same(_first(call), tensors.scores)
        if call.name in _SOFTMAX and seen:
            return _Switch(index, _uniform_softmax)
    return None


def _linear_switch(record: AttentionRecord, calls: list[_Call]) -> _Switch | None:
    output = record.tensors.output
    mean = record.tensors.value.mean(-2, keepdim=True).expand_as(output)
    for index, call in enumerate(calls):
        if _same(call.result, output) and call.result.shape == output.shape:
            return _Switch(index, lambda func, args, kwargs: mean.clone())
    return None


def _gate_switch(record: AttentionRecord, calls: list[_Call]) -> _Switch | None:
    gate = record.gate
    for index, call in enumerate(calls):
        if call.name not in _MULTIPLY or call.result.numel() != record.tensors.output.numel():
            continue
        for place, argument in enumerate(call.args):
            if _same(argument, gate):
                return _Switch(index, _with_mean_of(place))
    return None


def _uniform_fused(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the same fused attention with queries of zero, so that all visible scores are equal."""

    def attend(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *rest: Any,
        **named: Any,
    ) -> Tensor:
        if attn_mask is not None and attn_mask.dtype is not torch.bool:
            attn_mask = torch.softmax(attn_mask.double(), -1) > _HIDDEN
        zeros = torch.zeros_like(query)
        return F.scaled_dot_product_attention(zeros, key, value, attn_mask, *rest, **named)

    return attend(*args, **kwargs)


def _uniform_softmax(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    weights = func(*args, **kwargs)
    axis = kwargs.get("dim", args[1] if len(args) > 1 else -1)
    visible = (weights > _HIDDEN).to(weights.dtype)
    return visible / visible.sum(axis, keepdim=True)


def _with_mean_of(place: int) -> Swap:
    """Return a swap that calls with the mean of the argument at `place`, over all but images."""

    def swap(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        gate = args[place]
        mean = gate.mean(tuple(range(1, gate.ndim)), keepdim=True).expand_as(gate)
        return func(*args[:place], mean, *args[place + 1 :], **kwargs)

    return swap


def _first(call: _Call) -> Any:
    return call.args[0] if call.args else call.kwargs.get("input")


def _same(one: Any, other: Tensor | None) -> bool:
    """Return whether two tensors are the same numbers in memory, perhaps seen in another shape."""
    if not isinstance(one, Tensor) or other is None or one.device != other.device:
        return False
    return one.data_ptr() == other.data_ptr() and one.numel() == other.numel()


def _name(func: Function) -> str:
    return getattr(func, "__name__", "")
