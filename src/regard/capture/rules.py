"""Which torch functions capture looks at, and what it does with each."""

from collections.abc import Callable
from dataclasses import replace

from regard.capture import passing, spellings
from regard.capture.contraction import Side, contraction_of
from regard.capture.fused import flexible, fused
from regard.capture.gates import activated, divided, multiplied, multiplied_without_sum
from regard.capture.linear import chained
from regard.capture.observer import Call, Observer
from regard.capture.sampled import sampled
from regard.capture.softmax import (
    attended,
    attends,
    exponentiated,
    normalised_again,
    softmax_taken,
    written_out,
)
from regard.capture.traces import Product, Trace, fresh_atom

Rule = Callable[[Observer, Call], None]


def contracted(observer: Observer, call: Call) -> None:
    """A product that sums: attention at work, or scores in the making."""
    result = call.output
    found = contraction_of(call.name, call.args, call.kwargs)
    if result is None or found is None:
        return
    left, right, contraction = found
    factors = (left, right)
    if not contraction.summed:
        multiplied_without_sum(observer, call, factors, contraction)
        return
    sighting = chained(observer, call, factors, contraction)
    sides: tuple[Side, Side] = ("left", "right")
    for side, weights in zip(sides, factors, strict=True):
        trace = observer.trace(weights)
        softmax = trace.softmax if trace is not None else None
        if sighting is None and softmax is not None and attends(softmax, contraction, side):
            sighting = attended(observer, call, factors, contraction, side, softmax)
    scale = call.kwargs.get("alpha", 1.0)
    product = Product(
        observer.keeper.hold(left),
        observer.keeper.hold(right),
        contraction,
        contraction.own_axis("left"),
        contraction.own_axis("right"),
        scale,
    )
    observer.book.set(result, Trace(frozenset({fresh_atom()}), product=product, sighting=sighting))


def through_layer(observer: Observer, call: Call) -> None:
    """A linear layer or a 1×1 convolution: its weights may be the values of an attention.

    With a bias, or over another axis than the softmax's, it mixes heads, and its output is still
    a softmax's, or scores in the making.
    """
    source, result = call.source, call.output
    trace = observer.trace(source)
    if trace is None or source is None or result is None:
        return
    softmax, product = trace.softmax, trace.product
    mixed = source.dim() - 1 if call.name == "linear" else 1
    same_places = source.shape[mixed + 1 :] == result.shape[mixed + 1 :]
    found = None if softmax is None else contraction_of(call.name, call.args, call.kwargs)
    if softmax is not None and found is not None and attends(softmax, found[2], "left"):
        attended(observer, call, found[:2], found[2], "left", softmax)
    elif softmax is not None and mixed not in softmax.axes and same_places:
        observer.book.set(result, Trace(frozenset({fresh_atom()}), softmax))
    elif product is not None and _mixes_heads(product, mixed) and same_places:
        product = replace(product, mixed=True)
        observer.book.set(result, Trace(frozenset({fresh_atom()}), product=product))


def quotient(observer: Observer, call: Call) -> None:
    """A quotient: exponentials by their sum, or else by a constant or a normaliser."""
    if not written_out(observer, call):
        divided(observer, call)


def _mixes_heads(product: Product, mixed: int) -> bool:
    """Return True if an axis of scores in the making is neither the queries nor the keys."""
    sides = (product.left_axis, product.right_axis)
    return product.contraction is not None and None not in sides and mixed not in sides


RULES: dict[str, Rule] = {
    **dict.fromkeys(spellings.SAME, passing.same),
    **dict.fromkeys(spellings.REARRANGING, passing.rearranged),
    **dict.fromkeys(spellings.SLICING, passing.sliced),
    **dict.fromkeys(spellings.ELEMENTWISE, passing.elementwise),
    **dict.fromkeys(spellings.ADDING, passing.added),
    **dict.fromkeys(spellings.RESIZING, passing.resized),
    **dict.fromkeys(spellings.JOINING, passing.joined),
    **dict.fromkeys(spellings.REDUCING, passing.reduced),
    **dict.fromkeys(spellings.STRONG | spellings.WEAK, activated),
    **dict.fromkeys(spellings.MULTIPLYING, multiplied),
    **dict.fromkeys(spellings.DIVIDING, quotient),
    **dict.fromkeys(spellings.CONTRACTING, contracted),
    **dict.fromkeys(spellings.LAYERS, through_layer),
    "exp": exponentiated,
    "__setitem__": passing.set_in_part,
    "softmax": softmax_taken,
    "_safe_softmax": softmax_taken,
    "normalize": normalised_again,
    "grid_sample": sampled,
    "scaled_dot_product_attention": fused,
    "flex_attention": flexible,
}


def overwrites_what_matters(observer: Observer, name: str, args: tuple[object, ...]) -> bool:
    """Return True if an in-place call destroys something that a record will need.

    σ in place destroys its scores; ReLU in place is everywhere and hardly ever a gate, and so is
    left alone. A product in place destroys its features, where the other factor is a gate.
    """
    if name in spellings.STRONG or name == "softmax":
        return True
    if name == "exp":
        scores = observer.trace(args[0])
        return scores is not None and scores.product is not None
    if name != "mul":
        return False
    traces = [observer.trace(arg) for arg in args[:2]]
    return any(trace is not None and trace.gate is not None for trace in traces)
