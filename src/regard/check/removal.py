"""Taking an image away in the order of a map, and what the model makes of it on the way.

All metrics that remove pixels in a map's order stand on this: the turns of the pixels, the shares
of the image after which the model is asked, and one stream of forward passes for all maps. A copy
of the image is known by the pixels that are missing in it, and none runs twice for a case: not the
empty one, which all maps share, and not those that deletion and comprehensiveness have in common.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from regard.check.case import Case
from regard.check.imputation import Imputation, imputation
from regard.core.errors import InputError, unknown_name
from regard.core.seeding import generator

ORDERS = ("morf", "lerf")
"""Strongest first ("most relevant first"), or weakest first ("least relevant first")."""

STEPS = 20
"""In how many steps an image is taken away where nothing else is asked for."""

_STREAM = 110


def turns(
    maps: Float[Tensor, "map height width"], order: str, seed: int
) -> Int[Tensor, "map height width"]:
    """Return when it is each pixel's turn, from 0 on.

    Pixels of the same value come in a random order. It is one order for all maps, and the same
    for `morf` and `lerf`, so that a map that says nothing is not better one way than the other.

    Args:
        maps: (map, height, width); only the order of their values matters.
        order: `morf`, the strongest first, or `lerf`, the weakest first.
        seed: of the order among equals.

    Raises:
        InputError: no such order, or a map is not finite.

    """
    if order not in ORDERS:
        raise unknown_name("order", order, ORDERS)
    if not bool(maps.isfinite().all()):
        raise InputError("a map is infinite or no number somewhere, so its pixels have no order")
    flat = maps.detach().cpu().flatten(1)
    shuffled = torch.randperm(flat.shape[1], generator=generator(seed, _STREAM))
    places = torch.arange(flat.shape[1], dtype=torch.int32)
    found = torch.empty(flat.shape, dtype=torch.int32)
    for turn, values in zip(found, flat, strict=True):
        turn[shuffled[values[shuffled].argsort(stable=True, descending=order == "morf")]] = places
    return found.reshape(maps.shape)


def shares(steps: int | None, areas: Sequence[int | float] | None) -> tuple[float, ...]:
    """Return the shares of the image at which the model is asked.

    Args:
        steps: for 0, 1 / steps, …, 1; None for 20.
        areas: the shares themselves, in place of steps.

    Raises:
        InputError: both are given, fewer than one step, or shares that do not rise from 0 to 1.

    """
    if areas is None:
        steps = STEPS if steps is None else steps
        if steps < 1:
            raise InputError(f"steps is {steps}; an image is taken away in at least 1")
        return tuple(step / steps for step in range(steps + 1))
    if steps is not None:
        raise InputError(f"steps={steps} and areas= say the same thing; give one of them")
    if len(areas) < 2:
        raise InputError(f"areas has {len(areas)} shares; a curve needs at least 2")
    return rising(areas)


def rising(areas: Sequence[int | float]) -> tuple[float, ...]:
    """Return the shares as they are, if they are at least one and rise within 0 and 1.

    Raises:
        InputError: they do not.

    """
    given = tuple(float(area) for area in areas)
    rise = all(before < after for before, after in pairwise(given))
    if not given or not rise or not 0 <= given[0] <= given[-1] <= 1:
        raise InputError(
            f"areas is {areas!r}; give shares of the image that rise from 0 to 1, such as "
            "(0, 0.25, 0.5, 1)"
        )
    return given


def curve(
    case: Case,
    maps: Float[Tensor, "map height width"],
    areas: Sequence[float],
    *,
    order: str = "morf",
    fill: str | int | float,
    sample: Tensor | None = None,
    keep: bool = False,
) -> Float[Tensor, "map area"]:
    """Return the scores of the image with shares of it removed, strongest or weakest first.

    Args:
        case: what is looked at; one forward pass for each map and share, but that with nothing
            removed is free, and that with nothing left is shared by all maps.
        maps: (map, height, width).
        areas: shares of the image; see `shares` and `rising`.
        order: `morf`, the strongest first, or `lerf`, the weakest first.
        fill: what removed pixels become: `mean`, `blur`, `road`, `sample`, or a number.
        sample: the image for `fill="sample"`, (channel, height, width).
        keep: remove all but those shares.

    Raises:
        InputError: an option that cannot be, or a map that is not finite.

    """
    order_of_pixels = turns(maps, order, case.seed)
    return scores_along(case, order_of_pixels, areas, imputation(case, fill, sample), keep=keep)


def scores_along(
    case: Case,
    order: Int[Tensor, "map height width"],
    areas: Sequence[float],
    imputation: Imputation,
    *,
    keep: bool = False,
) -> Float[Tensor, "map area"]:
    """Return the scores of the image with shares of it removed, in each map's order.

    Args:
        case: what is looked at; one forward pass for each copy that no metric has run before.
        order: when it is each pixel's turn; see `turns`.
        areas: shares of the image, each rounded to whole pixels.
        imputation: what stands in place of removed pixels.
        keep: remove all but those pixels.

    """
    pixels = order[:1].numel()
    counts = torch.tensor([math.floor(area * pixels + 0.5) for area in areas], dtype=torch.int32)

    def removed(numbers: Sequence[int]) -> Bool[Tensor, "copy height width"]:
        which = torch.tensor(numbers)
        first = order[which // len(counts)] < counts[which % len(counts)][:, None, None]
        return ~first if keep else first

    names: list[bytes] = []
    for start in range(0, len(order) * len(counts), case.chunk):
        some = range(start, min(start + case.chunk, len(order) * len(counts)))
        names += [_name(mask) for mask in removed(some)]
    known: dict[bytes, float] = case.once(("removed", imputation.key), dict)
    new = {name: number for number, name in enumerate(names) if name not in known}
    if new.pop(nothing := _name(torch.zeros(case.size, dtype=torch.bool)), None) is not None:
        known[nothing] = case.clean
    if new:
        numbers = list(new.values())
        scores = case.scores(
            len(numbers), lambda some: imputation(removed([numbers[number] for number in some]))
        )
        known.update(zip(new, scores.tolist(), strict=True))
    found = torch.tensor([known[name] for name in names], dtype=torch.float64)
    return found.reshape(len(order), len(counts))


def area_under(curves: Float[Tensor, "map area"], areas: Sequence[float]) -> Float[Tensor, " map"]:
    """Return the area under curves by the trapezoid rule, over the width of the areas.

    That is the mean height of a curve; from 0 to 1 it is the area itself.
    """
    width = torch.tensor(areas, dtype=torch.float64)
    return torch.trapezoid(curves, width, dim=1) / (areas[-1] - areas[0])


def _name(mask: Bool[Tensor, "height width"]) -> bytes:
    """Return a name that no other mask has."""
    return blake2b(np.packbits(mask.numpy()).tobytes(), digest_size=16).digest()
