"""How traces pass through functions that only rearrange, scale or combine tensors."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from regard.capture.follow import follow_axes, follow_axis
from regard.capture.observer import Call, Observer
from regard.capture.sampled import joined_samples, rearranged_samples, samples_summed
from regard.capture.spellings import TRANSPOSING
from regard.capture.traces import Atom, Gate, Softmax, Trace, fresh_atom


def of_all_axes(trace: Trace, source: Tensor, result: Tensor) -> Trace:
    """Return the trace after a rearrangement: every axis that it names is followed."""
    if trace.plain:
        return trace
    softmax, product = trace.softmax, trace.product
    if softmax is not None:
        axes = follow_axes(source, result, softmax.axes)
        softmax = replace(softmax, axes=axes) if axes else None
    if product is not None:
        product = replace(
            product,
            left_axis=_follow(source, result, product.left_axis),
            right_axis=_follow(source, result, product.right_axis),
        )
    samples = trace.samples and rearranged_samples(trace.samples, source, result)
    return Trace(trace.atoms, softmax, trace.gate, product, samples=samples, turned=trace.turned)


def _follow(source: Tensor, result: Tensor, axis: int | None) -> int | None:
    found = frozenset() if axis is None else follow_axis(source, result, axis)
    return next(iter(found)) if len(found) == 1 else None


def same(observer: Observer, call: Call) -> None:
    """A cast, copy, dropout or mask: the trace stays."""
    source, result = call.source, call.output
    trace = observer.trace(source)
    if trace is None or source is None or result is None:
        return
    if result.shape != source.shape:
        trace = trace.without_axes()
    observer.book.set(result, trace)


def rearranged(observer: Observer, call: Call) -> None:
    """A view, reshape or transposition: the trace stays, its axes are followed."""
    source, result = call.source, call.output
    if source is None or result is None or result is source or not source.is_floating_point():
        return
    moved = call.name in TRANSPOSING and source.stride() != result.stride()
    trace = of_all_axes(observer.book.of(source), source, result)
    if moved:
        trace = trace._replace(turned=not trace.turned)
    observer.book.set(result, trace)


def sliced(observer: Observer, call: Call) -> None:
    """A slice: of the same origins, but another part of them."""
    source = call.source
    if source is None or not source.is_floating_point():
        return
    results = call.result if isinstance(call.result, (tuple, list)) else (call.result,)
    trace = observer.book.of(source)
    for result in results:
        if not isinstance(result, Tensor) or result is source:
            continue
        followed = of_all_axes(trace, source, result)
        if result.numel() != source.numel():
            followed = followed._replace(atoms=_part_of(trace.atoms))
        observer.book.set(result, followed)


def _part_of(atoms: frozenset[Atom]) -> frozenset[Atom]:
    _, part = fresh_atom()[::-1]
    return frozenset((base, part) for base, _ in atoms)


def elementwise(observer: Observer, call: Call) -> None:
    """A function of each number: its origins stay, and so do scores in the making."""
    source, result = call.source, call.output
    if source is None or result is None or not source.is_floating_point():
        return
    trace = observer.book.of(source)
    observer.book.set(result, Trace(trace.atoms, product=trace.product, turned=trace.turned))


def aligned(observer: Observer, value: Any, result: Tensor) -> Trace | None:
    """Return the trace of an operand, its axes counted in the broadcast result."""
    if observer.is_constant(value) or not isinstance(value, Tensor):
        return None
    trace = observer.book.of(value)
    shift = result.dim() - value.dim()
    if shift == 0 or trace.plain:
        return trace
    if shift < 0:
        return trace.without_axes()
    softmax, product = trace.softmax, trace.product
    if softmax is not None:
        softmax = replace(softmax, axes=frozenset(a + shift for a in softmax.axes))
    if product is not None:
        product = replace(
            product,
            left_axis=None if product.left_axis is None else product.left_axis + shift,
            right_axis=None if product.right_axis is None else product.right_axis + shift,
        )
    return trace._replace(softmax=softmax, product=product, samples=None)


def added(observer: Observer, call: Call) -> None:
    """A sum or difference of two: scores with a bias, a mask or a window's offset; 1 + gate."""
    result = call.output
    if result is None:
        return
    left, right = call.argument(0, "input", "self"), call.argument(1, "other")
    traces = [t for x in (left, right) if (t := aligned(observer, x, result)) is not None]
    if not traces:
        observer.book.set(result, Trace(frozenset()))
        return
    atoms = traces[0].atoms.union(*(t.atoms for t in traces[1:]))
    turned = all(t.turned for t in traces)
    if all(t.plain for t in traces):
        observer.book.set(result, Trace(atoms, turned=turned))
        return
    product = next((t.product for t in traces if t.product is not None), None)
    softmax = _both_softmax([t.softmax for t in traces])
    observer.book.set(
        result,
        Trace(
            atoms,
            softmax=softmax,
            gate=both_gates([t.gate for t in traces], atoms),
            product=product,
            turned=turned,
        ),
    )


def _both_softmax(found: list[Softmax | None]) -> Softmax | None:
    """Return the softmax that a sum is, if all of its terms are; several have no common scores."""
    first = found[0]
    if first is None or any(other is None or other.axes != first.axes for other in found):
        return None
    return first if len(found) == 1 else replace(first, scores=None)


def set_in_part(observer: Observer, call: Call) -> None:
    """`scores[…] = …`: still scores, where a bias was added to a part of them, or a mask set."""
    target, value = call.argument(0), call.argument(2)
    trace, new = observer.trace(target), observer.trace(value)
    if not isinstance(target, Tensor) or trace is None:
        return
    product, same = trace.product, new.product if new is not None else None
    biased = product is not None and same is not None and same.left is product.left
    if product is None or not (biased or observer.is_constant(value)):
        observer.book.discard(target)
    else:
        observer.book.set(target, Trace(frozenset({fresh_atom()}), product=product))


def both_gates(gates: list[Gate | None], atoms: frozenset[Atom]) -> Gate | None:
    """Return the gate that gates combine to, or None unless all of them are gates."""
    found = [gate for gate in gates if gate is not None]
    if not found or len(found) < len(gates):
        return None
    if len(found) == 1:
        return found[0]
    weak = all(gate.strength == "weak" for gate in found)
    product = next((gate.product for gate in found if gate.product is not None), None)
    scores = found[0].scores if product is None else None
    return Gate("weak" if weak else "strong", None if len(found) > 1 else scores, atoms, product)


def resized(observer: Observer, call: Call) -> None:
    """An interpolated gate is a gate."""
    trace, result = observer.trace(call.source), call.output
    if trace is not None and trace.gate is not None and result is not None:
        observer.book.set(result, Trace(frozenset({fresh_atom()}), gate=trace.gate))


def joined(observer: Observer, call: Call) -> None:
    """Gates that are concatenated or stacked are a gate."""
    result, parts = call.output, call.argument(0, "tensors")
    if result is None or not isinstance(parts, (tuple, list)):
        return
    if joined_samples(observer, call, parts):
        return
    traces = [observer.trace(part) for part in parts]
    gates = [trace.gate if trace is not None else None for trace in traces]
    atoms = frozenset({fresh_atom()})
    gate = both_gates(gates, atoms)
    if gate is not None:
        observer.book.set(result, Trace(atoms, gate=gate))


def reduced(observer: Observer, call: Call) -> None:
    """A sum of an element-wise product is a product; of a softmax's output, its total."""
    trace, result, source = observer.trace(call.source), call.output, call.source
    if trace is None or result is None or source is None:
        return
    if trace.weighed is not None and call.name == "sum":
        samples_summed(observer, call, source, trace.weighed)
        return
    product = trace.product
    if product is not None and product.contraction is None:
        summed: Trace | None = Trace(frozenset({fresh_atom()}), product=product)
    else:
        summed = _total(call, trace, source)
    if summed is not None:
        observer.book.set(result, summed)


def _total(call: Call, trace: Trace, source: Tensor) -> Trace | None:
    axis = call.argument(1, "dim", "axis")
    axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
    if trace.softmax is None and trace.exponential is None:
        return None
    if not isinstance(axis, int) or call.name != "sum":
        return None
    total = axis % source.dim()
    return Trace(frozenset({fresh_atom()}), total=total, exponential=trace.exponential)
