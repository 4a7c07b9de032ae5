"""Insertion: how high the score gets while what the map marks is put back.

Petsiuk, Das & Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models"
(arXiv 1806.07421), section 4.1: from a blurred copy of the image, pixels are put back, strongest
first, and the area under the curve of the score tells how soon it rises. Where we differ: as for
deletion, and the blur is that of `regard.explain.fill`.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case
from regard.check.metric import register
from regard.check.removal import area_under, curve, shares


@register(
    "insertion",
    family="faithfulness",
    answers="How high does the score get while what the map marks is put back?",
    better="higher",
    paper="Petsiuk, Das & Saenko, 2018",
    arxiv="1806.07421",
    examples=({"fill": "mean"}, {"fill": "road"}, {"fill": 0.5}, {"areas": (0.1, 0.5)}),
    quick={"areas": (0, 0.2, 0.4, 0.6, 0.8, 1)},
)
def insertion(
    case: Case,
    maps: Float[Tensor, "map height width"],
    *,
    order: str = "morf",
    steps: int | None = None,
    areas: Sequence[int | float] | None = None,
    fill: str | int | float = "blur",
    sample: Tensor | None = None,
) -> Float[Tensor, " map"]:
    """Return the area under the curve of the score, which is its mean height: (map,).

    Args:
        case: what is looked at; one forward pass for each map and step, the first step shared by
            all maps, and the last one free.
        maps: (map, height, width).
        order: `morf`; with `lerf`, where the weakest are put back first, lower is better.
        steps: of the same area each; None for 20.
        areas: shares of the image that are put back, in place of steps.
        fill: what stands in place of the others: `mean`, `blur`, `road`, `sample`, or a number.
        sample: the image for `fill="sample"`, (channel, height, width).

    Raises:
        InputError: an option that cannot be, or a map that is not finite.

    """
    at = shares(steps, areas)
    scores = curve(case, maps, at, order=order, fill=fill, sample=sample, keep=True)
    return area_under(scores, at)
