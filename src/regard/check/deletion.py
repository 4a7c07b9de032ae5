"""Deletion: how high the score stays while what the map marks is taken away.

Petsiuk, Das & Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models"
(arXiv 1806.07421), section 4.1: pixels are removed, strongest first, and the area under the curve
of the score tells how soon it falls. Where we differ:

- the score is the target's, a logit as a rule; give a target that is a probability for theirs;
- pixels of the same value go in a random order, where theirs follows the rows of the image;
- the curve's first point is the image as it is, and the area under it is by the trapezoid rule.

The same with `areas=` that leave out 0 is the pixel flipping of Bach et al. 2015.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case
from regard.check.metric import register
from regard.check.removal import area_under, curve, shares


@register(
    "deletion",
    family="faithfulness",
    answers="How high does the score stay while what the map marks is taken away?",
    better="lower",
    paper="Petsiuk, Das & Saenko, 2018",
    arxiv="1806.07421",
    examples=({"fill": "blur"}, {"fill": "road"}, {"fill": 0.5}, {"areas": (0, 0.1, 0.5)}),
    quick={"areas": (0, 0.2, 0.4, 0.6, 0.8, 1)},
)
def deletion(
    case: Case,
    maps: Float[Tensor, "map height width"],
    *,
    order: str = "morf",
    steps: int | None = None,
    areas: Sequence[int | float] | None = None,
    fill: str | int | float = "mean",
    sample: Tensor | None = None,
) -> Float[Tensor, " map"]:
    """Return the area under the curve of the score, which is its mean height: (map,).

    Args:
        case: what is looked at; one forward pass for each map and step, the first step free, and
            the last one shared by all maps.
        maps: (map, height, width).
        order: `morf`; with `lerf`, where the weakest go first, higher is better.
        steps: of the same area each; None for 20.
        areas: shares of the image that are removed, in place of steps.
        fill: what removed pixels become: `mean`, `blur`, `road`, `sample`, or a number.
        sample: the image for `fill="sample"`, (channel, height, width).

    Raises:
        InputError: an option that cannot be, or a map that is not finite.

    """
    at = shares(steps, areas)
    scores = curve(case, maps, at, order=order, fill=fill, sample=sample)
    return area_under(scores, at)
