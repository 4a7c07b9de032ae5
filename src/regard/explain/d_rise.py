"""D-RISE: RISE for a detector's boxes.

Petsiuk, Jain, Manjunatha et al. 2020, "Black-box Explanation of Object Detectors via Saliency
Maps" (arXiv 2006.03204). The score of a masked image is how like the box that is explained its
likest box is; that score is `BoxTarget`'s. Masks have finer cells than RISE's, 16 along a side,
because boxes are smaller than images. Where we differ from RISE, we differ here.
"""

from typing import Literal

from torch import Tensor, nn

from regard.explain.altered_copies import CHUNK
from regard.explain.explainer import Maps, register
from regard.explain.fill import Fill
from regard.explain.rise import rise
from regard.explain.targets import Score


@register(
    "d_rise",
    family="perturbation",
    answers="Where must the image be seen for the detector to find this box and class again?",
    paper="Petsiuk et al., 2020",
    arxiv="2006.03204",
    dear=True,
    boxes_only=True,
    examples=({"cells": 8},),
    quick={"masks": 32},
)
def d_rise(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    masks: int = 1000,
    cells: int = 16,
    keep: float = 0.5,
    seed: int = 0,
    fill: Fill = "mean",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    chunk: int = CHUNK,
) -> Maps:
    """Return D-RISE's map: (batch, row, col) of pixels; made for the score of a `BoxTarget`.

    One forward pass for each mask; all images get the same masks.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target; any score will do, and `BoxTarget`'s makes it D-RISE.
        masks: how many; the paper has 5000.
        cells: of a mask, along each side.
        keep: the probability that a cell lets the image through.
        seed: of the masks.
        fill: what a hidden pixel becomes: `mean` (zero after preprocessing), `blur`, or a number.
        precision: as of `rise`.
        chunk: how many copies run together.

    Raises:
        InputError: as `rise`.

    """
    return rise(
        model,
        images,
        score,
        masks=masks,
        cells=cells,
        keep=keep,
        seed=seed,
        fill=fill,
        precision=precision,
        chunk=chunk,
    )
