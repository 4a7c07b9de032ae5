"""Which anchor answers for which box, by how much they overlap.

Ren et al. 2015 (arXiv 1506.01497), section 3.1.2; the bounds are the caller's: 0.7 and 0.3 for
region proposals, 0.5 and 0.4 for RetinaNet (arXiv 1708.02002, section 4), 0.5 alone for RoIs.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from regard.core.errors import InputError

BACKGROUND = -1
IGNORED = -2


def match(
    overlap: Float[Tensor, "box place"], *, low: float, high: float, best: bool = True
) -> Int[Tensor, " place"]:
    """Return, for each place, the box that it answers for, `BACKGROUND` or `IGNORED`.

    Args:
        overlap: intersection over union of each box with each place's anchor.
        low: below it a place is background; from here to `high` it is ignored.
        high: from here on a place answers for the box that it overlaps most.
        best: whether the places that overlap a box most answer for it also below `high`, so that
            no box goes unanswered for (case i of the paper), unless nothing overlaps it at all.

    Raises:
        InputError: `low` is above `high`.

    """
    if low > high:
        raise InputError(f"low={low} must not be above high={high}")
    boxes, places = overlap.shape
    if boxes == 0:
        return overlap.new_full((places,), BACKGROUND, dtype=torch.int64)
    most, chosen = overlap.max(0)
    matched = chosen.clone()
    matched[most < high] = IGNORED
    matched[most < low] = BACKGROUND
    if best:
        highest = overlap.amax(1, keepdim=True)
        forced = ((overlap == highest) & (highest > 0)).any(0)
        matched[forced] = chosen[forced]
    return matched
