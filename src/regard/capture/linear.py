"""Attention without a softmax: two products in a row, in either order.

φ(q)·(φ(k)ᵀ·v) sums over the tokens first and never has a matrix of weights; (q·kᵀ)·v has one. As
both are the same three tensors in a row, what tells them apart is which axis is the tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from regard.capture.contraction import Contraction, Side, opposite
from regard.capture.held import Held
from regard.capture.layout import Matrices
from regard.capture.observer import Call, Observer
from regard.capture.sighting import Part, Sighting
from regard.capture.traces import Product, Trace
from regard.capture.weighted import Factors, weighted


def chained(
    observer: Observer, call: Call, factors: Factors, outer: Contraction
) -> Sighting | None:
    """Record the second of two products in a row; None if this is not one.

    Args:
        observer: where to.
        call: the second product.
        factors: of the second product, left and right.
        outer: how they met.

    """
    sides: tuple[Side, Side] = ("right", "left")
    for side in sides:
        first, other = factors if side == "left" else factors[::-1]
        trace = observer.trace(first)
        product = trace.product if trace is not None else None
        if trace is None or product is None or product.contraction is None or product.mixed:
            continue
        summed = outer.summed_axes(side)
        middle = product.factor_of(next(iter(summed))) if len(summed) == 1 else None
        if middle is None or not _mixes_only_features(observer, trace, product, other):
            continue
        if _tokens_first(observer, product.contraction, outer):
            if trace.sighting is not None:
                observer.remove(trace.sighting)
            sighting = _kernelised(observer, call, other, outer, side, product, middle)
        else:
            sighting = weighted(observer, call, factors, outer, side, "linear")
        if sighting is not None:
            sighting.scale = product.scale
            observer.add(sighting)
        return sighting
    return None


def _mixes_only_features(observer: Observer, first: Trace, product: Product, other: Tensor) -> bool:
    """Return False where a learned matrix, or a softmax over scores, takes part in the chain."""
    ends = (other, product.left.tensor, product.right.tensor)
    if first.softmax is not None or any(observer.is_constant(end) for end in ends):
        return False
    softmaxes = (trace.softmax for end in ends if (trace := observer.trace(end)) is not None)
    return all(softmax is None or softmax.product is None for softmax in softmaxes)


def _tokens_first(observer: Observer, inner: Contraction, outer: Contraction) -> bool:
    """Return True if the inner product summed over the tokens and the outer over features."""
    first, second = (prod(c.sizes[letter] for letter in c.summed) for c in (inner, outer))
    tokens = observer.token_counts()
    if (first in tokens) != (second in tokens):
        return first in tokens
    return first >= second


def _kernelised(
    observer: Observer,
    call: Call,
    query: Tensor,
    outer: Contraction,
    side: Side,
    product: Product,
    middle: Side,
) -> Sighting | None:
    """Return a sighting of φ(q)·(φ(k)ᵀ·v), not written down yet.

    Args:
        observer: knows the site.
        call: the second product.
        query: φ(q).
        outer: how φ(q) met the first product.
        side: on which side of it the first product was.
        product: the first product.
        middle: which of its factors is φ(k).

    """
    site, output, inner = observer.wanted_site(), call.output, product.contraction
    if site is None or output is None or inner is None:
        return None
    hint = observer.heads_hint()
    axes, of_key = outer.matrix_axes(opposite(side), hint), inner.matrix_axes(middle, hint)
    heads = hint if len(axes.batch) == 1 else 1
    cells = {"left": product.left, "right": product.right}

    def per_query(cell: Held, letters: str, columns: str) -> Part:
        return Part(cell, Matrices(outer, letters, axes.batch, axes.query, columns, heads))

    def per_key(of: Side, columns: str) -> Part:
        letters = inner.letters(of)
        return Part(cells[of], Matrices(inner, letters, of_key.batch, of_key.key, columns, heads))

    hold = observer.keeper.hold
    return Sighting(
        site=site,
        kind="linear",
        form="kernel",
        provenance="recomputed",
        call=observer.next_call(site),
        running=observer.modules.running,
        maps=observer.modules.maps,
        parts={
            "query": per_query(hold(query), outer.letters(opposite(side)), axes.key),
            "key": per_key(middle, of_key.query),
            "value": per_key(opposite(middle), of_key.width),
            "output": per_query(hold(output), outer.result, axes.width),
        },
    )


def normalised(observer: Observer, call: Call, sighting: Sighting) -> None:
    """Take a division of a linear attention's output as its normaliser, if it can be one.

    It can if the divisor is one number a query, the same for all of a value's features.
    """
    divisor, result = call.argument(1, "other"), call.output
    layout = sighting.parts["output"].layout
    if sighting.form != "kernel" or not isinstance(divisor, Tensor) or result is None:
        return
    if not isinstance(layout, Matrices):
        return
    shift = result.dim() - divisor.dim()
    width = [layout.letters.index(a) for a in layout.columns]
    if any(axis >= shift and divisor.shape[axis - shift] != 1 for axis in width):
        return
    hold = observer.keeper.hold
    sighting.parts["normaliser"] = Part(hold(divisor), OnePerQuery(layout, result.shape))
    sighting.parts["output"] = Part(hold(result), layout)
    if observer.keep == "operators":
        sighting.keep_only_operator()


@dataclass(frozen=True)
class OnePerQuery:
    """Lays a divisor out as (batch, heads, query, 1).

    Attributes:
        layout: of what it divides.
        shape: of what it divides.

    """

    layout: Callable[[Tensor], Tensor]
    shape: torch.Size

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the divisor in that layout."""
        return self.layout(tensor.expand(self.shape))[..., :1]
