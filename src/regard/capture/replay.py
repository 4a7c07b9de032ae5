"""Run a module again as the model ran it, with a pattern on its input, and see what moves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regard.capture.modules import OutermostCall
from regard.capture.structured_light import Light
from regard.core.modes import evaluating
from regard.core.record import AttentionRecord
from regard.core.seeding import RandomState, generator, preserved_random_state

Axes = tuple[int, ...]
"""Of an input: (row, col), or (frame, row, col)."""

SiteCall = tuple[str, int]
"""A site, and which of its calls."""

Moved = Float64[Tensor, "pattern batch head token"]
"""Power of each token's change under each pattern."""

Movements = dict[SiteCall, dict[str, Moved]]
"""What moved: site and call → side (`query`, `key`) → power."""

# Of the input's standard deviation: small, so that the answer is in proportion, and far above
# what rounding to float32 adds.
_STRENGTH = 0.1

_COLOURS = (1, 3, 4)


@dataclass(frozen=True)
class Replay:
    """One call of a module for one image, to be repeated.

    Attributes:
        name: of the module in the model; empty for the model itself.
        module: the module.
        leaves: its arguments, flattened.
        structure: to put them together again.
        lit: which of the leaves the pattern is put on.
        axes: of that leaf, in the shape of `view`, that run along the input's rows and columns
            (frames first).
        view: the shape in which that leaf is read: its own, or that of the map that its tokens
            make.
        random: what the module's random numbers start from.
        images: how many the user's call had; only the first is repeated.
        number: which of the module's calls in the model's run it is.
        calls: how many there were.

    """

    name: str
    module: nn.Module
    leaves: list[Any]
    structure: Any = field(repr=False)
    lit: int
    axes: Axes
    view: tuple[int, ...]
    random: RandomState = field(repr=False)
    images: int = 1
    number: int = 0
    calls: int = 1

    @property
    def size(self) -> tuple[int, ...]:
        """Length of the input along `axes`."""
        return tuple(self.view[axis] for axis in self.axes)

    def run(self, change: Tensor | None = None) -> bool:
        """Call the module with `change` added to its input, always with the same randomness.

        Args:
            change: of the shape of `view`.

        Returns:
            True if the module asked for random numbers, although in eval mode.

        """
        leaves = list(self.leaves)
        if change is not None:
            leaves[self.lit] = leaves[self.lit] + change.reshape(leaves[self.lit].shape)
        args, kwargs = pytree.tree_unflatten(leaves, self.structure)
        with preserved_random_state(), torch.no_grad(), evaluating(self.module):
            self.random.restore()
            self.module(*args, **kwargs)
            return not self.random.agrees_with(RandomState.now())

    def noise(self, draw: int) -> Tensor:
        """Return the noise that patterns modulate, of one of several draws."""
        return noise_like(self.leaves[self.lit], self.view, draw)

    def full_name(self, site: str) -> str:
        """Return a site's name in the model, from its name in this module."""
        if not self.name:
            return site
        return self.name if site == type(self.module).__name__ else f"{self.name}.{site}"


def noise_like(lit: Tensor, view: Sequence[int], draw: int) -> Tensor:
    """Return noise of some shape, so strong that it is a small part of what it is added to."""
    noise = torch.randn(tuple(view), generator=generator(draw)).to(lit)
    deviation = lit.float().std().nan_to_num()
    return noise * (_STRENGTH * torch.where(deviation > 0, deviation, 1.0)).to(lit)


def replay_of(call: OutermostCall, model: nn.Module) -> Replay | None:
    """Prepare the user's call for its first image; None if it was given no image.

    The first tensor of four or five axes is the image or video; without one, the first of three
    is a spectrogram (batch, row, col).
    """
    leaves, structure = pytree.tree_flatten((call.args, call.kwargs))
    lit = _first_lit(leaves)
    if lit is None:
        return None
    images = leaves[lit].shape[0]
    leaves = [_first_of(leaf, images) for leaf in leaves]
    view = tuple(leaves[lit].shape)
    axes = _axes_of_image(view)
    if axes is None:
        return None
    name = "" if call.module is model else call.name
    return Replay(name, call.module, leaves, structure, lit, axes, view, call.random, images)


def replays_inside(
    name: str,
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    image: tuple[int, ...],
) -> list[Replay]:
    """Prepare the call of an inner module that is given a map of the image, or its tokens.

    One for each way in which its first tensor may be read as such a map.
    """
    random = RandomState.now()
    leaves, structure = pytree.tree_flatten((tuple(args), dict(kwargs)))
    leaves = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    for lit, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            readings = readings_as_map(tuple(leaf.shape), image)
            return [Replay(name, module, leaves, structure, lit, *r, random) for r in readings]
    return []


def _first_lit(leaves: Sequence[Any]) -> int | None:
    for dims in ((4, 5), (3,)):
        for index, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.dim() in dims:
                return index
    return None


def _first_of(leaf: Any, images: int) -> Any:
    """Return what belongs to the first image, not shared with the user."""
    if not isinstance(leaf, Tensor):
        return leaf
    one = leaf[:1] if leaf.dim() and leaf.shape[0] == images else leaf
    return one.detach().clone()


def _axes_of_image(shape: Sequence[int]) -> Axes | None:
    if len(shape) == 3:
        return (1, 2)
    if len(shape) == 4:
        channels_last = shape[3] in _COLOURS and shape[1] not in _COLOURS
        return (1, 2) if channels_last else (2, 3)
    if shape[2] in _COLOURS:
        return (1, 3, 4)
    return (2, 3, 4) if shape[1] in _COLOURS else None


def readings_as_map(
    shape: tuple[int, ...], image: tuple[int, ...]
) -> list[tuple[Axes, tuple[int, ...]]]:
    """Return how a module's input may be read as a map of the image.

    Its rows and columns have the image's proportions, are no longer than it, and belong to one
    image. Channels may be first or last, and happen to be as many as would fit. Tokens may be the
    cells of a map, row by row.

    Args:
        shape: of the input.
        image: height and width.

    Returns:
        Axes of rows and columns, and the shape whose axes these are.

    """
    if len(image) != 2 or shape[:1] != (1,):
        return []

    def fits(rows: int, cols: int) -> bool:
        same = abs(rows * image[1] / image[0] - cols) < 1
        return same and rows <= image[0] and min(rows, cols) > 1

    if len(shape) == 4:
        return [(axes, shape) for axes in ((2, 3), (1, 2)) if fits(*(shape[a] for a in axes))]
    if len(shape) == 3:
        sides = ((rows, shape[1] // rows) for rows in range(2, shape[1]) if not shape[1] % rows)
        return [((1, 2), (1, *side, shape[2])) for side in sides if fits(*side)]
    return []


@runtime_checkable
class Lit(Protocol):
    """What is run again: it says what noise is put on what it lights."""

    def noise(self, draw: int) -> Tensor:
        """Return the noise that patterns modulate, of one of several draws."""
        ...


def movements(
    replay: Lit,
    light: Sequence[Light],
    look: Callable[[Tensor | None], Iterable[AttentionRecord]],
    draw: int = 0,
) -> Movements:
    """Measure how strongly every token's query and key move under each pattern.

    The change that all tokens of a site have in common says nothing of their places and is taken
    out.

    Args:
        replay: what to run.
        light: the patterns.
        look: runs the replay with a change of its input and returns what was captured.
        draw: of the noise.

    """
    still = {_call_of(record): _sides(record) for record in look(None)}
    noise = replay.noise(draw)
    power: dict[SiteCall, dict[str, list[Tensor]]] = {call: {} for call in still}
    for pattern in light:
        for record in look(pattern.light(noise)):
            call = _call_of(record)
            for side, tensor in _sides(record).items():
                before = still.get(call, {}).get(side)
                if before is not None and before.shape == tensor.shape:
                    power[call].setdefault(side, []).append(_power(tensor - before))
    return {
        call: {side: torch.stack(seen) for side, seen in sides.items() if len(seen) == len(light)}
        for call, sides in power.items()
    }


def _call_of(record: AttentionRecord) -> SiteCall:
    return record.site, record.call


def _sides(record: AttentionRecord) -> dict[str, Tensor]:
    """Return what tells where queries and keys lie: themselves, or what stands for them.

    A value comes from the same token as its key. Where queries are not known, their rows of
    scores or weights move with them.
    """
    if record.kind == "gate":
        return {}
    tensors = record.tensors
    query = next(
        (t for t in (tensors.query, tensors.scores, tensors.weights) if t is not None), None
    )
    key = tensors.value if tensors.key is None else tensors.key
    sides = {"query": query, "key": key}
    return {side: t.detach().float() for side, t in sides.items() if t is not None}


def _power(change: Tensor) -> Tensor:
    """Return (batch, head, token): the square of the change, less what all tokens share.

    Tokens that do not move at all, as padding and masked ones, have no share in anything.
    """
    moving = change.abs().amax(-1, keepdim=True) > 0
    shared = change.sum((0, 2), keepdim=True) / moving.sum((0, 2), keepdim=True).clamp(min=1)
    own = torch.where(moving, change - shared, 0)
    return own.square().sum(-1).double().cpu()
