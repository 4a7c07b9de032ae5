"""A box that a detector missed, or one that it saw where there is none."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Corners = tuple[float, float, float, float]
"""xyxy in pixels of the picture."""


@dataclass(frozen=True)
class DetectionMistake:
    """One box of one image.

    Attributes:
        picture: (height, width, 3), RGB bytes.
        kind: `missed` for a true box that was not found, `false` for a found one that is not there.
        box: the box.
        label: index of its class.
        score: how sure the detector was of a false box; of a missed one, 0.
        overlap: the greatest IoU with a box of its class on the other side, found or true.
        truth: all true boxes of the image.
        found: the boxes that were found with the score of this one or more; for a missed one, those
            above the score at which precision and recall are best together.

    """

    picture: NDArray[np.uint8]
    kind: Literal["missed", "false"]
    box: Corners
    label: int
    score: float
    overlap: float
    truth: tuple[Corners, ...]
    found: tuple[Corners, ...]
