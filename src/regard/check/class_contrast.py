"""Class contrast: is the map another one for another class?

A method that shows the same whatever it is asked explains the image and not the decision. Sixt,
Granz & Landgraf 2020, "When Explanations Lie: Why Many Modified BP Attributions Fail" (arXiv
1912.09818), section 4.2, compare the maps of two classes (the random logit test). Where we differ:
they compare by structural similarity, and with a class drawn at random; here it is the rank
correlation, without signs, and the class that the case names as the other. A box or a mask is
compared with another one; pixels where both maps are 0 are left out then, because maps are 0
outside of a place's receptive field whatever the model is.

A copy of a map that stands elsewhere is less like any other map, and so has a better value without
being a better map: copies are no controls here.
"""

from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case
from regard.check.metric import register
from regard.check.similarity import rank_correlation


@register(
    "class_contrast",
    family="randomisation",
    answers="Is the map another one for another class?",
    better="lower",
    paper="Sixt et al., 2020",
    arxiv="1912.09818",
    needs=("classes",),
    place=False,
    examples=({"absolute": False},),
)
def class_contrast(
    case: Case, maps: Float[Tensor, "map height width"], *, absolute: bool = True
) -> Float[Tensor, " map"]:
    """Return the rank correlation of a map with the method's map for the other class: (map,).

    Args:
        case: what is looked at; the method runs once, whatever the number of maps.
        maps: (map, height, width).
        absolute: compare the amounts of signed maps, without their sign: for and against are often
            the same pixels, which with their sign would look like a contrast.

    """
    other = case.once("map of the other class", lambda: case.explained(case.other))
    if absolute:
        maps, other = maps.abs(), other.abs()
    return rank_correlation(maps, other, silence=not case.score.places)
