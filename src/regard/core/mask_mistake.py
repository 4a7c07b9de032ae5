"""An image whose pixels a segmenter got wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MaskMistake:
    """One image, the classes of its pixels, and those that they were given.

    Attributes:
        title: what the image is called.
        picture: (height, width, 3), RGB bytes.
        true: (height, width), class indices, 255 for void.
        predicted: (height, width), class indices.
        iou: the mean IoU over the image's classes.

    """

    title: str
    picture: NDArray[np.uint8]
    true: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    iou: float
