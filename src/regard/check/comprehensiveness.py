"""Comprehensiveness: does the score fall when what the map marks is removed?

DeYoung, Jain, Rajani, Lehman, Xiong, Socher & Wallace 2020, "ERASER: A Benchmark to Evaluate
Rationalized NLP Models" (arXiv 1911.03429), section 4.3: the fall of the prediction without the
rationale; for scores that are no yes or no, of the strongest 1, 5, 10, 20 and 50 % of the tokens,
averaged. Where we differ: pixels take the place of tokens, and something takes the place of
pixels; the score is the target's, a logit as a rule; and the mean is over the shares, where they
divide by one more.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case
from regard.check.metric import register
from regard.check.removal import curve, rising

AREAS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""The shares of the image that are removed, or that are kept for sufficiency."""


@register(
    "comprehensiveness",
    family="faithfulness",
    answers="Does the score fall when what the map marks is removed?",
    better="higher",
    paper="DeYoung et al., 2020",
    arxiv="1911.03429",
    examples=({"fill": "blur"}, {"fill": "road"}, {"areas": (0.3,)}),
)
def comprehensiveness(
    case: Case,
    maps: Float[Tensor, "map height width"],
    *,
    areas: Sequence[int | float] = AREAS,
    fill: str | int | float = "mean",
    sample: Tensor | None = None,
) -> Float[Tensor, " map"]:
    """Return the mean fall of the score without the strongest shares of the image: (map,).

    Args:
        case: what is looked at; one forward pass for each map and share.
        maps: (map, height, width).
        areas: shares of the image that are removed.
        fill: what removed pixels become: `mean`, `blur`, `road`, `sample`, or a number.
        sample: the image for `fill="sample"`, (channel, height, width).

    Raises:
        InputError: an option that cannot be, or a map that is not finite.

    """
    scores = curve(case, maps, rising(areas), fill=fill, sample=sample)
    return case.clean - scores.mean(1)
