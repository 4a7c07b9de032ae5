"""Gates: σ of some scores that multiplies features, and is not an activation function of them.

x·sigmoid(x), written out, is SiLU. What tells a gate from it is where the scores came from: a
gate's scores saw something that its features alone, number by number, do not give (another
position, another channel, another tensor). The two halves of one projection (a gated linear unit
by `chunk`) count as one tensor, and so as an activation function.

ReLU, tanh, clamps and `normalize` are other things first. They are gates only where one of their
numbers weighs several of the features: one score a position for all channels, or the reverse.
"""

from dataclasses import replace
from typing import Literal

from torch import Tensor

from regard.capture.contraction import Contraction, Side
from regard.capture.layout import Layout
from regard.capture.linear import normalised
from regard.capture.observer import Call, Observer
from regard.capture.passing import aligned, both_gates
from regard.capture.sampled import weighed
from regard.capture.sighting import Sighting, parts_of
from regard.capture.spellings import DIVIDING, STRONG
from regard.capture.traces import Atom, Gate, Product, Trace, fresh_atom


def activated(observer: Observer, call: Call) -> None:
    """Remember the output of σ: it may gate something."""
    source, result = call.source, call.output
    if source is None or result is None or not source.is_floating_point():
        return
    trace = observer.book.of(source)
    strength: Literal["strong", "weak"] = "strong" if call.name in STRONG else "weak"
    overwritten = result is source and call.before is None
    scores = None if overwritten else observer.hold_scores(call, source)
    observer.book.set(
        result,
        Trace(
            trace.atoms,
            gate=Gate(strength, scores, trace.atoms, trace.product),
            product=trace.product,
            total=trace.total,
            turned=trace.turned,
        ),
    )


def multiplied(observer: Observer, call: Call) -> None:
    """A product of two, number by number: a gate at work, a scale, or scores in the making."""
    left, right, result = call.argument(0, "input", "self"), call.argument(1, "other"), call.output
    if result is None or not result.is_floating_point():
        return
    left_trace, right_trace = (aligned(observer, x, result) for x in (left, right))
    if left_trace is None or right_trace is None:
        _scaled(observer, call, left_trace or right_trace, right if left_trace else left)
        return
    if weighed(observer, result, (left, left_trace), (right, right_trace)):
        return
    gate = _gate_side(left, left_trace, right, right_trace, result)
    if gate is not None:
        weights, value = (left, right) if gate == "left" else (right, left)
        weights_trace, value_trace = (
            (left_trace, right_trace) if gate == "left" else (right_trace, left_trace)
        )
        sighting = gated(observer, call, weights, value, weights_trace, turned=value_trace.turned)
        origin = fresh_atom()
        if sighting is not None:
            observer.gates[origin[0]] = sighting
        observer.book.set(result, Trace(frozenset({origin}), turned=value_trace.turned))
        return
    observer.book.set(result, _combined(observer, call, left, left_trace, right, right_trace))


def _scaled(observer: Observer, call: Call, trace: Trace | None, factor: object) -> None:
    """A product or quotient with a constant: what the tensor was, it still is."""
    result = call.output
    if result is None:
        return
    if trace is None:
        observer.book.set(result, Trace(frozenset()))
        return
    product = trace.product
    if product is not None and isinstance(factor, (int, float)):
        scale = product.scale / factor if call.name in DIVIDING else product.scale * factor
        product = replace(product, scale=scale)
    observer.book.set(
        result, Trace(trace.atoms, trace.softmax, trace.gate, product, turned=trace.turned)
    )


def _combined(
    observer: Observer,
    call: Call,
    left: Tensor,
    left_trace: Trace,
    right: Tensor,
    right_trace: Trace,
) -> Trace:
    """A product of two tensors of which neither gates the other."""
    same = left_trace.atoms == right_trace.atoms
    atoms = left_trace.atoms if same else frozenset({fresh_atom()})
    gates = [left_trace.gate, right_trace.gate]
    strong = [gate is not None and gate.strength == "strong" for gate in gates]
    gate = both_gates(gates, left_trace.atoms | right_trace.atoms) if any(strong) else None
    product = Product(observer.hold(call, left), observer.hold(call, right))
    return Trace(atoms, gate=gate, product=product, turned=left_trace.turned and right_trace.turned)


def _gate_side(
    left: Tensor, left_trace: Trace, right: Tensor, right_trace: Trace, result: Tensor
) -> Side | None:
    """Return which factor is a gate and has the other for its features; None if neither."""
    strengths = [t.gate.strength if t.gate else "none" for t in (left_trace, right_trace)]
    if strengths == ["strong", "strong"]:
        return None  # a gate made of two
    order: tuple[Side, ...] = ("right", "left") if strengths[1] == "strong" else ("left", "right")
    for side in order:
        pair = (left, left_trace, right, right_trace)
        weights, trace, value, features = pair if side == "left" else pair[2:] + pair[:2]
        if trace.gate is not None and _weighs(trace.gate, weights, value, features.atoms, result):
            return side
    return None


def _weighs(
    gate: Gate, weights: Tensor, value: Tensor, atoms: frozenset[Atom], result: Tensor
) -> bool:
    """Return True if a gate weighs these features, and is no activation function of them."""
    if value.dim() < 3 or value.numel() != result.numel() or not value.is_floating_point():
        return False
    if {base for base, _ in gate.atoms} <= {base for base, _ in atoms}:
        return False
    return gate.strength == "strong" or _shared(weights, result)


def _shared(weights: Tensor, result: Tensor) -> bool:
    """Return True if one weight is used for several features of an image."""
    sizes = [1] * (result.dim() - weights.dim()) + [
        1 if stride == 0 else size
        for size, stride in zip(weights.shape, weights.stride(), strict=True)
    ]
    return any(n == 1 < m for n, m in zip(sizes[1:], result.shape[1:], strict=True))


def gated(
    observer: Observer,
    call: Call,
    weights: Tensor,
    value: Tensor,
    trace: Trace,
    *,
    layout: Layout | None = None,
    turned: bool = False,
) -> Sighting | None:
    """Record a gate that multiplies features, and return what was written down."""
    site, output, gate = observer.wanted_site(), call.output, trace.gate
    if site is None or output is None or gate is None:
        return None
    product = gate.product
    sighting = Sighting(
        site=site,
        kind="gate",
        form="gate",
        provenance="exact",
        call=observer.next_call(site),
        running=observer.modules.running,
        maps=observer.modules.maps,
        parts=parts_of(
            query=None if product is None else (product.left, None),
            key=None if product is None else (product.right, None),
            scores=None if gate.scores is None else (gate.scores, None),
            weights=(observer.hold(call, weights), layout),
            value=(observer.hold(call, value), None),
            output=(observer.keeper.hold(output), None),
        ),
        scale=product.scale if product is not None else 1.0,
        turned=turned,
    )
    observer.add(sighting)
    return sighting


def multiplied_without_sum(
    observer: Observer, call: Call, factors: tuple[Tensor, Tensor], contraction: Contraction
) -> bool:
    """Record an einsum that only multiplies (`bc,bchw->bchw`), if it is a gate; False if not."""
    result = call.output
    if result is None:
        return False
    for side in ("left", "right"):
        weights, value = factors if side == "left" else factors[::-1]
        other: Side = "right" if side == "left" else "left"
        trace = observer.trace(weights)
        if trace is None or trace.gate is None or contraction.letters(other) != contraction.result:
            continue
        atoms = observer.book.of(value).atoms
        layout = Broadcast(contraction.letters(side), contraction.result)
        if _weighs(trace.gate, layout(weights), value, atoms, result):
            gated(observer, call, weights, value, trace, layout=layout)
            return True
    return False


class Broadcast:
    """Lay a factor out so that it broadcasts to the result."""

    def __init__(self, letters: str, result: str) -> None:
        self._order = [letters.index(a) for a in result if a in letters]
        self._missing = [axis for axis, a in enumerate(result) if a not in letters]

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the tensor in the order of the result's axes, 1 long where it has none."""
        tensor = tensor.permute(self._order)
        for axis in self._missing:
            tensor = tensor.unsqueeze(axis)
        return tensor


def _one_a_row(divisor: object, axes: frozenset[int], result: Tensor) -> bool:
    """Return True if a divisor is the same for all weights that were normalised together."""
    if not isinstance(divisor, Tensor):
        return False
    shift = result.dim() - divisor.dim()
    return all(axis < shift or divisor.shape[axis - shift] == 1 for axis in axes)


def divided(observer: Observer, call: Call) -> None:
    """A quotient: by a constant, a softmax's own total, or a linear attention's normaliser."""
    left, right, result = call.argument(0, "input", "self"), call.argument(1, "other"), call.output
    if result is None or not result.is_floating_point():
        return
    if not isinstance(left, Tensor):
        observer.book.discard(result)
        return
    trace, divisor = aligned(observer, left, result), observer.trace(right)
    if observer.is_constant(right):
        _scaled(observer, call, trace, right)
        return
    if trace is not None and trace.sighting is not None:
        normalised(observer, call, trace.sighting)
    softmax = trace.softmax if trace is not None else None
    total = divisor.total if divisor is not None else None
    if trace is not None and softmax is not None and total is not None:
        axes = softmax.axes | {total}
        observer.book.set(result, trace._replace(softmax=replace(softmax, axes=axes)))
    elif trace is not None and softmax is not None and _one_a_row(right, softmax.axes, result):
        observer.book.set(result, trace)
    else:
        observer.book.set(result, Trace(frozenset({fresh_atom()})))
