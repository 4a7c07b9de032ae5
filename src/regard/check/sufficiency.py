"""Sufficiency: does what the map marks hold the score up alone?

DeYoung, Jain, Rajani, Lehman, Xiong, Socher & Wallace 2020, "ERASER: A Benchmark to Evaluate
Rationalized NLP Models" (arXiv 1911.03429), section 4.3: the fall of the prediction when there is
nothing but the rationale. Where we differ: as for comprehensiveness.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case
from regard.check.comprehensiveness import AREAS
from regard.check.metric import register
from regard.check.removal import curve, rising


@register(
    "sufficiency",
    family="faithfulness",
    answers="How far does the score fall when only what the map marks is left?",
    better="lower",
    paper="DeYoung et al., 2020",
    arxiv="1911.03429",
    examples=({"fill": "blur"}, {"fill": "road"}, {"areas": (0.3,)}),
)
def sufficiency(
    case: Case,
    maps: Float[Tensor, "map height width"],
    *,
    areas: Sequence[int | float] = AREAS,
    fill: str | int | float = "mean",
    sample: Tensor | None = None,
) -> Float[Tensor, " map"]:
    """Return the mean fall of the score with nothing but the strongest shares left: (map,).

    Args:
        case: what is looked at; one forward pass for each map and share.
        maps: (map, height, width).
        areas: shares of the image that are left.
        fill: what removed pixels become: `mean`, `blur`, `road`, `sample`, or a number.
        sample: the image for `fill="sample"`, (channel, height, width).

    Raises:
        InputError: an option that cannot be, or a map that is not finite.

    """
    scores = curve(case, maps, rising(areas), fill=fill, sample=sample, keep=True)
    return case.clean - scores.mean(1)
