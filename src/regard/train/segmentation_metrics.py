"""Numbers of a segmentation: mean IoU with its interval, pixel accuracy, boundary F1."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from regard.core.errors import InputError
from regard.core.labels import VOID
from regard.core.seeding import derive_seed

Mask = Integer[np.ndarray, "_ _"]
"""(height, width): class indices, and 255 for void in a true one."""

Counts = Int[np.ndarray, "*set class"]

_BOOTSTRAP = 0xB007
_CHUNK = 64


def pixel_confusion(
    predicted: Mask, truth: Mask, classes: int
) -> Int[np.ndarray, "true_class predicted_class"]:
    """Count the pixels of each true class (row) that were given each class (column); no void."""
    if predicted.shape != truth.shape:
        raise InputError(f"a prediction of {predicted.shape} and a mask of {truth.shape} pixels")
    known = truth != VOID
    pairs = truth[known].astype(np.int64) * classes + predicted[known]
    if pairs.size and (pairs.max() >= classes**2 or predicted[known].max() >= classes):
        raise InputError(f"a class index is not below {classes}")
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(right: Counts, predicted: Counts, true: Counts) -> Float[np.ndarray, "*set class"]:
    """Return intersection over union of each class: right / (predicted + true − right).

    NaN for a class that neither truth nor prediction has.
    """
    union = predicted + true - right
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(union > 0, right / union, np.nan)


def mean_iou(iou: Float[np.ndarray, "*set class"]) -> Float[np.ndarray, "*set"]:
    """Return the mean over the classes that have an IoU; NaN where none has."""
    known = ~np.isnan(iou)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, iou, 0.0).sum(-1) / known.sum(-1))


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """What the pixels of each image came to.

    Attributes:
        right: (image, class), pixels of a class that were given it.
        predicted: (image, class), pixels that were given a class.
        true: (image, class), pixels of a class.

    """

    right: NDArray[np.int64]
    predicted: NDArray[np.int64]
    true: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """The IoU of each class over all pixels of all images; NaN where it never occurs."""
        return class_iou(self.right.sum(0), self.predicted.sum(0), self.true.sum(0))

    @property
    def mean_iou(self) -> float:
        """The mean IoU over all classes that occur."""
        return float(mean_iou(self.iou))

    @property
    def accuracy(self) -> float:
        """The share of the pixels that were given their class."""
        return float(self.right.sum() / max(1, self.true.sum()))

    def intervals(
        self, *, draws: int = 1000, seed: int = 0
    ) -> tuple[tuple[float, float], list[tuple[float, float]]]:
        """Return 95 % bootstrap intervals of the mean IoU and of each class's IoU.

        Efron, "Bootstrap methods: another look at the jackknife", 1979: as many images are drawn
        with replacement as there are, the figure is computed anew, and the middle 95 % of the
        draws are the interval. Pixels of one image are not independent; images are what is drawn.
        (NaN, NaN) for a class that never occurs.

        """
        images = len(self.right)
        random = np.random.default_rng(derive_seed(_BOOTSTRAP, seed))
        found = []
        for start in range(0, draws, _CHUNK):
            count = min(_CHUNK, draws - start)
            # How often each image is drawn: (draw, image).
            times = random.multinomial(images, np.full(images, 1 / images), size=count)
            found.append(class_iou(times @ self.right, times @ self.predicted, times @ self.true))
        each = np.concatenate(found)
        per_class = [_middle(values) for values in each.T]
        return _middle(mean_iou(each)), per_class


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def boundary_f1(predicted: Mask, truth: Mask, *, tolerance: float = 0.0075) -> dict[int, float]:
    """Return how well the outlines of each class agree: the F1 measure of boundary pixels.

    Csurka, Larlus, Perronnin, "What is a good evaluation measure for semantic segmentation?",
    BMVC 2013, section 3: precision is the share of the predicted boundary that lies within a
    distance of the true one, recall the share of the true boundary that lies within that of the
    predicted one. Differences: a boundary pixel is one of the class with a neighbour, above,
    below, left or right, of another class; beside void, and inside of it, nothing is a boundary.

    Args:
        predicted: class indices.
        truth: class indices, or 255.
        tolerance: the distance, as a share of the image's diagonal (the paper's 0.75 %).

    Returns:
        The F1 measure of each class whose boundary truth or prediction has.

    """
    if predicted.shape != truth.shape:
        raise InputError(f"a prediction of {predicted.shape} and a mask of {truth.shape} pixels")
    reach = tolerance * math.hypot(*truth.shape)
    predicted = np.where(truth == VOID, VOID, predicted)
    ours, theirs = _boundary(predicted), _boundary(truth)
    found = {}
    for index in np.union1d(predicted[ours], truth[theirs]).tolist():
        mine, true = ours & (predicted == index), theirs & (truth == index)
        precision, recall = _near(mine, true, reach), _near(true, mine, reach)
        total = precision + recall
        found[int(index)] = 2 * precision * recall / total if total else 0.0
    return found


def _boundary(mask: NDArray) -> NDArray[np.bool_]:
    """Return where a pixel has a neighbour of another class, void beside."""
    found = np.zeros(mask.shape, bool)
    for axis in (0, 1):
        before = [slice(None), slice(None)]
        after = [slice(None), slice(None)]
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        first, second = mask[tuple(before)], mask[tuple(after)]
        differ = (first != second) & (first != VOID) & (second != VOID)
        found[tuple(before)] |= differ
        found[tuple(after)] |= differ
    return found


def _near(pixels: NDArray[np.bool_], others: NDArray[np.bool_], reach: float) -> float:
    """Return the share of `pixels` that lie within `reach` of one of `others`."""
    total = pixels.sum()
    if not total or not others.any():
        return 0.0
    # Only what lies around the pixels can be near to them.
    rows, cols = (np.flatnonzero(pixels.any(axis)) for axis in (1, 0))
    margin = math.ceil(reach)
    part = (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(cols[0] - margin, 0), cols[-1] + margin + 1),
    )
    if not others[part].any():
        return 0.0
    distance = distance_transform_edt(~others[part])
    return float((pixels[part] & (distance <= reach)).sum() / total)  # pyright: ignore
