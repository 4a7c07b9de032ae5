"""What is known of a tensor on its way through the model: its origins and its part in attention.

Nothing here computes. A tensor's trace says from which tensors it was computed element by element
(so that x·sigmoid(x) is known to be an activation function and no gate), and whether it is still
the output of a softmax, a gate, or a product of two tensors.
"""

import itertools
import weakref
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from torch import Tensor, nn

from regard.capture.contraction import Contraction, Side
from regard.capture.held import Held
from regard.capture.sighting import HeldLevel, Sighting

Atom = tuple[int, int]
"""(tensor, part): a tensor that something was computed from, and the slice of it, 0 for all."""

_numbers = itertools.count(1)


def fresh_atom() -> Atom:
    """Return an origin that no tensor has yet."""
    return (next(_numbers), 0)


@dataclass(frozen=True)
class Product:
    """Scores in the making: a product of two tensors.

    Attributes:
        left, right: the factors, as the model had them.
        contraction: which axes met; None for an element-wise product.
        left_axis, right_axis: where the factors' own axes are in the traced tensor; None once
            they can no longer be told.
        scale: what the product was multiplied with since.
        mixed: True if it was mixed along another axis since, over heads: the factors are those
            that met, but their product is no longer these scores.

    """

    left: Held
    right: Held
    contraction: Contraction | None = None
    left_axis: int | None = None
    right_axis: int | None = None
    scale: float = 1.0
    mixed: bool = False

    def factor_of(self, axis: int) -> Side | None:
        """Return which factor an axis of the traced tensor comes from; None if not known."""
        if self.left_axis == self.right_axis:
            return None
        if axis == self.left_axis:
            return "left"
        return "right" if axis == self.right_axis else None


@dataclass(frozen=True)
class Softmax:
    """The tensor is a softmax's output, perhaps dropped out, cast, masked or reshaped since.

    Attributes:
        axes: the axes along which it was normalised, in the traced tensor.
        scores: what went into the softmax; None where only operators are kept.
        scores_axis: the axis of the scores along which it was taken.
        product: the product that the scores came from, if any.
        key_side: which factor of that product the softmax runs over; None if that is not known.

    """

    axes: frozenset[int]
    scores: Held | None
    scores_axis: int
    product: Product | None = None
    key_side: Side | None = None


@dataclass(frozen=True)
class Exponential:
    """The tensor is exponentials of scores, or their sum: half of a softmax written out.

    Attributes:
        scores: what was exponentiated; None where only operators are kept.

    """

    scores: Held | None


@dataclass(frozen=True)
class Gate:
    """The tensor is a gate: σ of some scores, perhaps reshaped, resized or combined since.

    Attributes:
        strength: `strong` for σ that is used for gating only (sigmoid, hard sigmoid, softmax);
            `weak` for relu, tanh and the like, which are activation functions first.
        scores: what went into σ; None where only operators are kept, or σ overwrote it.
        product: the product that the scores came from, if any.
        atoms: what the gate was computed from, element by element.

    """

    strength: Literal["strong", "weak"]
    scores: Held | None
    atoms: frozenset[Atom]
    product: Product | None = None


@dataclass(frozen=True)
class Samples:
    """The tensor is what was sampled from maps: (batch · heads, channel, query, sample …).

    Attributes:
        levels: the maps, and where samples were taken.
        numbers: which sample is where, in the shape of the tensor's sample axes; the samples of
            one map come after those of the map before.

    """

    levels: tuple[HeldLevel, ...]
    numbers: Tensor


@dataclass(frozen=True)
class WeighedSamples:
    """The tensor is samples times weights, not summed yet."""

    samples: Samples
    weights: Held


class Trace(NamedTuple):
    """All that is known of one tensor: a tuple, for one is made at almost every call.

    Attributes:
        atoms: the tensors that it was computed from element by element; itself, if from none;
            empty, if from the model's parameters alone.
        softmax, gate, product, samples, weighed: its part in attention, if it has one.
        total: it is the sum of a softmax's output, or of exponentials, along this axis.
        exponential: it is exponentials, or their sum.
        sighting: it is the output of this attention.
        turned: True if its axes are in another order than the model's feature maps have.

    """

    atoms: frozenset[Atom]
    softmax: Softmax | None = None
    gate: Gate | None = None
    product: Product | None = None
    samples: Samples | None = None
    weighed: WeighedSamples | None = None
    total: int | None = None
    exponential: Exponential | None = None
    sighting: Sighting | None = None
    turned: bool = False

    @property
    def plain(self) -> bool:
        """True if the tensor has no part in attention, so far."""
        return self[1:-1] == _NO_PART

    def without_axes(self) -> "Trace":
        """Return the trace of a tensor whose axes can no longer be told apart."""
        product = self.product and replace(self.product, left_axis=None, right_axis=None)
        return Trace(self.atoms, gate=self.gate, product=product, turned=self.turned)


_NO_PART = Trace(frozenset())[1:-1]


class _Entry(weakref.ref[Tensor]):
    """A tensor, not held alive, and its trace."""

    __slots__ = ("key", "trace")
    key: int
    trace: Trace


class TraceBook:
    """Traces by tensor. Holds no tensor alive, and never mistakes a new tensor for a dead one.

    Args:
        constants: the ids of the model's parameters and buffers, which outlive the book.

    """

    def __init__(self, constants: frozenset[int] = frozenset()) -> None:
        self._constants = constants
        self._entries: dict[int, _Entry] = {}

    def get(self, tensor: Tensor) -> Trace | None:
        """Return the trace of a tensor, or None if nothing is known of it."""
        entry = self._entries.get(id(tensor))
        return entry.trace if entry is not None and entry() is tensor else None

    def of(self, tensor: Tensor) -> Trace:
        """Return the trace of a tensor; a tensor seen for the first time becomes its own origin."""
        trace = self.get(tensor)
        if trace is None:
            trace = Trace(frozenset() if self._is_given(tensor) else frozenset({fresh_atom()}))
            self.set(tensor, trace)
        return trace

    def is_constant(self, tensor: Tensor) -> bool:
        """Return True for the model's parameters and buffers, and what is computed from these."""
        trace = self.get(tensor)
        return self._is_given(tensor) if trace is None else not trace.atoms

    def _is_given(self, tensor: Tensor) -> bool:
        # Most tensors are of this very type, which is far cheaper to see than `Parameter`.
        other = type(tensor) is not Tensor and isinstance(tensor, nn.Parameter)
        return other or id(tensor) in self._constants

    def set(self, tensor: Tensor, trace: Trace) -> None:
        """Write down the trace of a tensor; it is forgotten when the tensor dies."""
        entry = _Entry(tensor, self._forget)
        entry.key, entry.trace = id(tensor), trace
        self._entries[entry.key] = entry

    def discard(self, tensor: Tensor) -> None:
        """Forget a tensor, because it was overwritten."""
        self._entries.pop(id(tensor), None)

    def clear(self) -> None:
        """Forget all tensors."""
        self._entries.clear()

    def _forget(self, dead: _Entry) -> None:
        if self._entries.get(dead.key) is dead:
            del self._entries[dead.key]
