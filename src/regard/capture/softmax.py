"""Softmax attention in the open: a softmax, and its output multiplied with values."""

from dataclasses import replace

from torch import Tensor

from regard.capture.contraction import Contraction, Side, opposite
from regard.capture.gates import activated
from regard.capture.held import Held
from regard.capture.layout import AxisLast, Layout, Matrices
from regard.capture.observer import Call, Observer
from regard.capture.passing import elementwise
from regard.capture.sighting import Part, Sighting
from regard.capture.traces import Exponential, Gate, Product, Softmax, Trace, fresh_atom
from regard.capture.weighted import Factors, weighted


def softmax_taken(observer: Observer, call: Call) -> None:
    """Remember a softmax's output: it may be attention weights, or a gate, or neither."""
    source, result, axis = call.source, call.output, call.argument(1, "dim")
    if source is None or result is None or not isinstance(axis, int):
        return
    trace = observer.trace(source)
    product = trace.product if trace is not None else None
    scores = observer.hold_scores(call, source)
    observer.book.set(result, _softmax(axis % max(source.dim(), 1), scores, product))


def _softmax(axis: int, scores: Held | None, product: Product | None) -> Trace:
    atoms = frozenset({fresh_atom()})
    side = None if product is None else product.factor_of(axis)
    return Trace(
        atoms,
        softmax=Softmax(frozenset({axis}), scores, axis, product, side),
        gate=Gate("strong", scores, atoms, product),
    )


def exponentiated(observer: Observer, call: Call) -> None:
    """Remember exponentials of scores in the making: over their sum they are a softmax."""
    elementwise(observer, call)
    trace, source, result = observer.trace(call.source), call.source, call.output
    if trace is None or trace.product is None or source is None or result is None:
        return
    written = Exponential(observer.hold_scores(call, source))
    observer.book.set(result, observer.book.of(result)._replace(exponential=written))


def written_out(observer: Observer, call: Call) -> bool:
    """Return True for exponentials over their own sum, having remembered the softmax they are."""
    above = observer.trace(call.argument(0, "input", "self"))
    below = observer.trace(call.argument(1, "other"))
    if above is None or below is None or above.exponential is None or call.output is None:
        return False
    if below.total is None or below.exponential is not above.exponential:
        return False
    observer.book.set(call.output, _softmax(below.total, above.exponential.scores, above.product))
    return True


def normalised_again(observer: Observer, call: Call) -> None:
    """`normalize`: weights are now normalised along that axis as well, anything else may gate."""
    trace, result = observer.trace(call.source), call.output
    axis, power = call.argument(2, "dim", default=1), call.argument(1, "p", default=2.0)
    if trace is None or trace.softmax is None or power != 1:
        activated(observer, call)
    elif result is not None:
        softmax = replace(trace.softmax, axes=trace.softmax.axes | {axis % result.dim()})
        observer.book.set(result, trace._replace(softmax=softmax))


def attends(softmax: Softmax | None, contraction: Contraction, side: Side) -> bool:
    """Return True if a contraction sums over the axis that the softmax normalised."""
    summed = contraction.summed_axes(side)
    return softmax is not None and bool(summed) and summed <= softmax.axes


def attended(
    observer: Observer,
    call: Call,
    factors: Factors,
    meeting: Contraction,
    side: Side,
    softmax: Softmax,
) -> Sighting | None:
    """Record a product of a softmax's output and values (see `weighted` for the arguments)."""
    weights = factors[0] if side == "left" else factors[1]
    sighting = weighted(observer, call, factors, meeting, side, "softmax")
    if sighting is None:
        return None
    layout = sighting.parts["weights"].layout
    heads = layout.heads if isinstance(layout, Matrices) else 1
    if softmax.scores is not None:
        scores_layout = _scores_layout(softmax, softmax.scores.tensor, weights, heads)
        sighting.parts["scores"] = Part(softmax.scores, scores_layout or layout)
    sighting.parts |= _asked(softmax, heads, observer.heads_hint())
    sighting.scale = softmax.product.scale if softmax.product is not None else 1.0
    observer.add(sighting)
    return sighting


def _scores_layout(softmax: Softmax, scores: Tensor, weights: Tensor, heads: int) -> Layout | None:
    """Return how scores are laid out; None for like the weights, if they look like them."""
    if scores.shape == weights.shape and softmax.scores_axis in softmax.axes:
        return None
    return AxisLast(softmax.scores_axis, heads)


def _asked(softmax: Softmax, heads: int, hint: int) -> dict[str, Part]:
    """Return query and key, if the scores are known to be their product."""
    product, side = softmax.product, softmax.key_side
    if product is None or product.contraction is None or side is None:
        return {}
    contraction = product.contraction
    cells = {"left": product.left, "right": product.right}
    other = opposite(side)
    axes = contraction.matrix_axes(other, hint)
    heads = heads if len(axes.batch) == 1 else 1

    def part(of: Side, rows: str) -> Part:
        letters = contraction.letters(of)
        return Part(cells[of], Matrices(contraction, letters, axes.batch, rows, axes.key, heads))

    return {"query": part(other, axes.query), "key": part(side, axes.width)}
