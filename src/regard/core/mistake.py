"""An image that a classifier got wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mistake:
    """One image, what it is, and what it was taken for.

    Attributes:
        picture: (height, width, 3), RGB bytes.
        true: index of its class.
        predicted: index of the class it was given.
        confidence: the probability of `predicted`.

    """

    picture: NDArray[np.uint8]
    true: int
    predicted: int
    confidence: float
