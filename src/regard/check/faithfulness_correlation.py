"""Faithfulness correlation: does covering what the map marks cost what the map says?

Bhatt, Weller & Moura 2020, "Evaluating and Aggregating Feature-based Model Explanations" (arXiv
2005.00631), section 3.1: cover random parts of the image, and correlate the sum of the map over
each part with the fall of the score. Where we differ:

- a part is half of the cells of a coarse lattice that lies anywhere, not single pixels, which
  change nothing, and what covers it is the image blurred, which is nearer to images than grey is;
- parts come in pairs, one half of the cells and the other, so that each pixel is covered equally
  often, and how much is covered plays no role, only where.

What the model says of the parts does not depend on the map. So a map and hundreds of its controls
cost no more forward passes than the map alone, which is what makes a verdict cheap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from regard.check.case import Case
from regard.check.metric import register
from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.explain.fill import Fill, fill_for

_STREAM = 103
# The lattice has as many cells a side. With more, halves of them are all alike to the model.
_CELLS = 4
PARTS = 48
"""How many parts are covered in a quick check: 24 pairs."""


@dataclass(frozen=True, eq=False)
class Responses:
    """What a model makes of an image with parts of it covered.

    Attributes:
        parts: (part, height, width), True where a part is.
        falls: (part,), by how much the score is lower with it covered.

    """

    parts: Bool[Tensor, "part height width"]
    falls: Float[Tensor, " part"]

    def repeatability(self) -> float:
        """Return how well the falls of one pair are foretold by the others, as a correlation.

        Each pair in turn is left out; the effect of a pixel is the sum of the other pairs' falls
        that cover it, and the foretold fall of a part is the sum over its pixels. Where the model's
        answer has no place in the image, this is about 0, whatever a map shows.
        """
        pairs = self.parts.double().flatten(1).unflatten(0, (-1, 2))
        falls = self.falls.unflatten(0, (-1, 2))
        falls = falls - falls.mean(1, keepdim=True)
        effects = torch.einsum("gpx,gp->gx", pairs, falls)
        foretold = torch.einsum("gpx,gx->gp", pairs, effects.sum(0) - effects)
        return float(_correlation(foretold.flatten()[None], falls.flatten())[0])


def responses(case: Case, *, parts: int = PARTS, fill: Fill = "blur") -> Responses:
    """Return what the model makes of the image with parts of it covered; found once a case.

    Args:
        case: what is looked at.
        parts: how many, an even number from 4 on.
        fill: what covered pixels become.

    Raises:
        InputError: another number.

    """
    if parts < 4 or parts % 2:
        raise InputError(f"parts is {parts}; they come in pairs: give an even number from 4 on")

    def make() -> Responses:
        held = _parts(case.size, parts, case.seed)
        covered = fill_for(case.image, fill)

        def copies(numbers: Sequence[int]) -> Tensor:
            some = held[list(numbers)][:, None].to(case.image.device)
            return torch.where(some, covered, case.image)

        return Responses(held, case.clean - case.scores(parts, copies))

    return case.once(("responses", parts, fill), make)


@register(
    "faithfulness_correlation",
    family="faithfulness",
    answers="Does covering what the map marks cost what the map says?",
    better="higher",
    paper="Bhatt, Weller & Moura, 2020",
    arxiv="2005.00631",
    asks_once=True,
    examples=({"fill": "mean"}, {"parts": 80}),
)
def faithfulness_correlation(
    case: Case,
    maps: Float[Tensor, "map height width"],
    *,
    parts: int = PARTS,
    fill: Fill = "blur",
) -> Float[Tensor, " map"]:
    """Return the correlation of a map's sum over parts with the fall of the score: (map,).

    It is 0 where a map says the same of all parts, or the model does.

    Args:
        case: what is looked at; one forward pass for each part, whatever the number of maps.
        maps: (map, height, width).
        parts: how many, an even number from 4 on.
        fill: what covered pixels become: `mean`, `blur`, or a number.

    Raises:
        InputError: another number of parts, or no such fill.

    """
    found = responses(case, parts=parts, fill=fill)
    sums = maps.double().flatten(1) @ found.parts.double().flatten(1).T
    return _correlation(sums, found.falls)


def _parts(size: tuple[int, int], count: int, seed: int) -> Bool[Tensor, "part height width"]:
    """Return parts in pairs: half of the cells of a lattice, and the other half."""
    dice = generator(seed, _STREAM)
    down, across = (torch.arange(side) * _CELLS // side for side in size)
    halves = []
    for _ in range(count // 2):
        chosen = torch.randperm(_CELLS * _CELLS, generator=dice).view(_CELLS, _CELLS) % 2 == 0
        # So that edges of cells lie anywhere, and places are told apart more finely than cells.
        shift = tuple(int(torch.randint(-(-s // _CELLS), (), generator=dice)) for s in size)
        half = chosen[down[:, None], across].roll(shift, (0, 1))
        halves += [half, ~half]
    return torch.stack(halves)


def _correlation(
    rows: Float[Tensor, "row part"], falls: Float[Tensor, " part"]
) -> Float[Tensor, " row"]:
    rows = rows - rows.mean(1, keepdim=True)
    falls = falls - falls.mean()
    size = rows.norm(dim=1) * falls.norm()
    # Sums that differ by rounding alone say the same of all parts.
    return torch.where(size > 1e-12, rows @ falls / size.clamp(min=1e-12), 0.0)
