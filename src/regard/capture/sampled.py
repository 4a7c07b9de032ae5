"""Sampled attention: `grid_sample` of one or several maps, times weights, summed over the samples.

As Deformable DETR spells it, and what came after: the samples of several maps are stacked or
concatenated before they meet the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from regard.capture.layout import Folded
from regard.capture.observer import Call, Observer
from regard.capture.sighting import HeldLevel, Part, Sighting
from regard.capture.traces import Samples, Trace, WeighedSamples, fresh_atom

# The axes (batch · heads, channel, query), before those of the samples.
_LEADING = 3


def sampled(observer: Observer, call: Call) -> None:
    """Remember what `grid_sample` returned, and what of."""
    features, places, result = call.source, call.argument(1, "grid"), call.output
    mode = call.argument(2, "mode", default="bilinear")
    if features is None or result is None or result.dim() != 4 or mode == "bicubic":
        return
    _not_gates(observer, places)
    hold = observer.keeper.hold
    level = HeldLevel(
        hold(features),
        hold(places),
        mode,
        call.argument(3, "padding_mode", default="zeros"),
        bool(call.argument(4, "align_corners", default=False)),
    )
    samples = Samples((level,), torch.arange(result.shape[-1]))
    observer.book.set(result, Trace(frozenset({fresh_atom()}), samples=samples))


def _not_gates(observer: Observer, places: Tensor) -> None:
    """Strike out gates that places came from: a box's size times offsets is no attention."""
    trace = observer.trace(places)
    for origin, _ in trace.atoms if trace is not None else ():
        gate = observer.gates.pop(origin, None)
        if gate is not None:
            observer.remove(gate)


def joined_samples(observer: Observer, call: Call, parts: Sequence[Tensor]) -> bool:
    """Join the samples of several maps, if all parts are such; False if not."""
    traces = [observer.trace(part) for part in parts]
    several = [trace.samples for trace in traces if trace is not None and trace.samples]
    result, axis = call.output, call.argument(1, "dim", "axis", default=0)
    if result is None or not several or len(several) < len(parts):
        return False
    axis %= result.dim()
    if axis < _LEADING:
        return False
    numbers, levels, start = [], [], 0
    for samples in several:
        numbers.append(samples.numbers + start)
        levels.extend(samples.levels)
        start += samples.numbers.numel()
    join = torch.stack if call.name == "stack" else torch.cat
    joint = Samples(tuple(levels), join(numbers, axis - _LEADING))
    observer.book.set(result, Trace(frozenset({fresh_atom()}), samples=joint))
    return True


def rearranged_samples(samples: Samples, source: Tensor, result: Tensor) -> Samples | None:
    """Follow a reshape that leaves (batch · heads, channel, query) alone; None for any other."""
    if source.shape[:_LEADING] != result.shape[:_LEADING]:
        return None
    return replace(samples, numbers=samples.numbers.reshape(result.shape[_LEADING:]))


def weighed(
    observer: Observer, result: Tensor, left: tuple[Tensor, Trace], right: tuple[Tensor, Trace]
) -> bool:
    """Remember a product of samples and weights, one for all channels; False if it is none."""
    for (taken, trace), (weights, other) in ((left, right), (right, left)):
        samples = trace.samples
        if samples is None or (other.softmax is None and other.gate is None):
            continue
        if weights.dim() != taken.dim() or taken.shape != result.shape or weights.shape[1] != 1:
            continue
        both = WeighedSamples(samples, observer.keeper.hold(weights))
        observer.book.set(result, Trace(frozenset({fresh_atom()}), weighed=both))
        return True
    return False


def samples_summed(observer: Observer, call: Call, source: Tensor, both: WeighedSamples) -> None:
    """Record a sum over all samples of a query: sampled attention."""
    axes = call.argument(1, "dim", "axis")
    axes = axes if isinstance(axes, (tuple, list)) else (axes,)
    site, output = observer.wanted_site(), call.output
    over = {axis % source.dim() for axis in axes if isinstance(axis, int)}
    if site is None or output is None or over != set(range(_LEADING, source.dim())):
        return
    heads = observer.heads_hint()
    heads = heads if source.shape[0] % heads == 0 else 1
    observer.add(
        Sighting(
            site=site,
            kind="sampled",
            form="sampled",
            provenance="exact",
            call=observer.next_call(site),
            running=observer.modules.running,
            maps=observer.modules.maps,
            parts={
                "weights": Part(both.weights, PerSample(both.samples.numbers, heads)),
                "output": Part(observer.keeper.hold(output), PerQuery(source.shape, heads)),
            },
            levels=both.samples.levels,
        )
    )


@dataclass(frozen=True)
class PerSample:
    """Lays weights out as (batch, heads, query, sample), samples in the order of their maps.

    Attributes:
        numbers: which sample each of the weights is for.
        heads: how many were folded into the batch.

    """

    numbers: Tensor
    heads: int

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the weights in that layout."""
        by_place = tensor.expand(*tensor.shape[:_LEADING], *self.numbers.shape)
        order = self.numbers.flatten().argsort().to(tensor.device)
        return Folded(self.heads)(by_place.flatten(_LEADING)[:, 0].index_select(-1, order))


@dataclass(frozen=True)
class PerQuery:
    """Lays the output out as (batch, heads, query, d).

    Attributes:
        shape: of the samples before their sum.
        heads: how many were folded into the batch.

    """

    shape: torch.Size
    heads: int

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the output in that layout."""
        return Folded(self.heads)(tensor.reshape(self.shape[:_LEADING]).mT)
