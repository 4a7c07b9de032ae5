"""Infidelity: how far off is the map as a forecast of what changes to the image do?

Yeh, Hsieh, Suggala, Inouye & Ravikumar 2019, "On the (In)fidelity and Sensitivity of Explanations"
(arXiv 1901.09392), definition 2.1: the mean over changes I of the squared difference between what
the map foretells, the sum of I times the map, and by how much the score falls from the image to the
image less I. Two of their changes:

- squares: a square of the image is taken away, its sides from 1/28 to 10/28 of the shorter side
  of the image, as in their experiments with MNIST. The map there says what a pixel's presence is
  worth, so I is 1 in the square and 0 elsewhere;
- noise (`noise=0.1`): I is Gaussian, for maps that say what a small change of a pixel is worth. A
  map has no channels, so it is the same in all of them.

Where we differ: maps have no common scale, so the paper's experiments multiply each by the factor
that makes its infidelity lowest. So do we by default (`scaled`), but the factor is at least 0: a
factor below it would make a map that is all wrong as good as one that is all right. Such a map has
the infidelity of a map of zeros, the mean square of the falls.

What the model says of the changes does not depend on the map, so a map and its controls cost no
more forward passes than the map alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from regard.check.case import Case
from regard.check.metric import register
from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.explain.fill import Fill, fill_for

_STREAM = 121
# Sides of squares, as shares of the shorter side of the image.
_SMALLEST, _LARGEST = 1 / 28, 10 / 28


@dataclass(frozen=True, eq=False)
class Changed:
    """Changes to an image and what the model makes of them.

    Attributes:
        amounts: (change, height, width), I in the paper.
        falls: (change,), by how much the score is lower.

    """

    amounts: Bool[Tensor, "change height width"] | Float[Tensor, "change height width"]
    falls: Float[Tensor, " change"]

    def foretold(
        self, maps: Float[Tensor, "map height width"], chunk: int
    ) -> Float[Tensor, "map change"]:
        """Return the sums of the changes times the maps."""
        values = maps.double().flatten(1)
        return torch.cat(
            [values @ some.double().flatten(1).T for some in self.amounts.split(chunk)], 1
        )


@register(
    "infidelity",
    family="faithfulness",
    answers="How far off is the map as a forecast of what changes to the image do?",
    better="lower",
    paper="Yeh et al., 2019",
    arxiv="1901.09392",
    asks_once=True,
    examples=({"noise": 0.1}, {"scaled": False}, {"fill": "blur"}),
    quick={"draws": 16},
)
def infidelity(
    case: Case,
    maps: Float[Tensor, "map height width"],
    *,
    draws: int = 64,
    scaled: bool = True,
    noise: float | None = None,
    fill: Fill = "mean",
) -> Float[Tensor, " map"]:
    """Return the mean squared error of the forecast, in squared units of the score: (map,).

    Args:
        case: what is looked at; `draws` forward passes, whatever the number of maps.
        maps: (map, height, width).
        draws: how many changes.
        scaled: whether each map is multiplied by its best factor first; False for maps that are in
            units of the score.
        noise: None to take squares away; for noise, its standard deviation as a share of the
            image's largest value less its smallest.
        fill: what a square becomes: `mean`, `blur`, or a number.

    Raises:
        InputError: no draws, no noise or a fill for it, or no such fill.

    """
    if draws < 1:
        raise InputError(f"draws is {draws}; at least one change is needed")
    if noise is None:
        make = partial(_without_squares, case, draws, fill)
    elif not 0 < noise < float("inf"):
        raise InputError(f"noise is {noise}; it must be a share of the image's range, above 0")
    elif fill != "mean":
        raise InputError(f"noise takes no part of the image away; leave out fill={fill!r}")
    else:
        make = partial(_without_noise, case, draws, noise)
    found = case.once(("infidelity", draws, noise, fill), make)
    foretold = found.foretold(maps, case.chunk)
    if scaled:
        foretold = _best_factor(foretold, found.falls)[:, None] * foretold
    return (foretold - found.falls).square().mean(1)


def _best_factor(
    foretold: Float[Tensor, "map change"], falls: Float[Tensor, " change"]
) -> Float[Tensor, " map"]:
    size = foretold.square().sum(1)
    return torch.where(size > 0, foretold @ falls / size.where(size > 0, 1), 0).clamp(min=0)


def _without_squares(case: Case, draws: int, fill: Fill) -> Changed:
    squares = _squares(case.size, draws, case.seed)
    filled = fill_for(case.image, fill)

    def copies(numbers: Sequence[int]) -> Tensor:
        taken = squares[list(numbers)][:, None].to(case.image.device)
        return torch.where(taken, filled, case.image)

    return Changed(squares, case.clean - case.scores(draws, copies))


def _squares(size: tuple[int, int], draws: int, seed: int) -> Bool[Tensor, "change height width"]:
    dice = generator(seed, _STREAM)
    smallest, largest = (max(1, round(share * min(size))) for share in (_SMALLEST, _LARGEST))
    sides = torch.randint(smallest, largest + 1, (draws,), generator=dice)
    inside = []
    for extent in size:
        # The square lies within the image: all places where it fits are as likely.
        start = (torch.rand(draws, generator=dice) * (extent - sides + 1)).long()[:, None]
        places = torch.arange(extent)
        inside.append((places >= start) & (places < start + sides[:, None]))
    down, across = inside
    return down[:, :, None] & across[:, None]


def _without_noise(case: Case, draws: int, noise: float) -> Changed:
    image = case.image
    deviation = noise * float(image.max() - image.min())
    amounts = deviation * torch.randn(draws, *case.size, generator=generator(case.seed, _STREAM))

    def copies(numbers: Sequence[int]) -> Tensor:
        return image - amounts[list(numbers)][:, None].to(image)

    return Changed(amounts, case.clean - case.scores(draws, copies))
