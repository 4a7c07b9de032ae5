"""The worst mistakes of a detector: boxes that it missed, and boxes that are not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regard.core.boxes import area
from regard.core.detection_mistake import Corners, DetectionMistake
from regard.train.detection_matching import Found, match_image, of_class
from regard.train.detection_metrics import DetectionScores


@dataclass(frozen=True)
class Place:
    """Where a mistake is, and how bad.

    Attributes:
        image: its place in the set.
        kind: `missed` or `false`.
        box: place among the image's true boxes, or among its found ones.
        label: its class.
        overlap: the greatest IoU with a box of its class on the other side.
        rank: the smaller, the worse.

    """

    image: int
    kind: Literal["missed", "false"]
    box: int
    label: int
    overlap: float
    rank: tuple[float, ...]


def worst_mistakes(
    found: Sequence[Found], truth: Sequence[Found], scores: DetectionScores, keep: int = 12
) -> list[Place]:
    """Return the worst mistakes at IoU 0.5: up to `keep` of each kind, one of a kind an image.

    False boxes are the worse the surer the detector was. Missed are the true boxes that no box
    matches whose score reaches the class's threshold of best precision and recall; they are the
    worse the less any such box overlaps them, and then the larger they are.
    """
    places: list[Place] = []
    thresholds = [score.threshold for score in scores.per_class.values()]
    for image, (seen, true) in enumerate(zip(found, truth, strict=True)):
        for label, threshold in enumerate(thresholds):
            places += _in_class(image, seen, true, label, threshold)
    kept: list[Place] = []
    for kind in ("missed", "false"):
        images: set[int] = set()
        for place in sorted((each for each in places if each.kind == kind), key=_rank):
            if place.image not in images and len(images) < keep:
                images.add(place.image)
                kept.append(place)
    return kept


def described(
    place: Place,
    picture: NDArray[np.uint8],
    seen: Found,
    true: Found,
    scores: DetectionScores,
) -> DetectionMistake:
    """Return a mistake with its picture, (height, width, 3) RGB bytes, and all boxes around it."""
    side: Mapping[str, Tensor] = true if place.kind == "missed" else seen
    score = 0.0 if place.kind == "missed" else float(seen["scores"][place.box])
    thresholds = [each.threshold for each in scores.per_class.values()]
    least = [thresholds[label] for label in seen["labels"].tolist()]
    shown = [
        each >= (score if place.kind == "false" else own)
        for each, own in zip(seen["scores"].tolist(), least, strict=True)
    ]
    corners = _corners(seen["boxes"])
    return DetectionMistake(
        picture=picture,
        kind=place.kind,
        box=_corners(side["boxes"])[place.box],
        label=place.label,
        score=score,
        overlap=place.overlap,
        truth=tuple(_corners(true["boxes"])),
        found=tuple(box for box, keep in zip(corners, shown, strict=True) if keep),
    )


def _rank(place: Place) -> tuple[float, ...]:
    return *place.rank, float(place.image), float(place.box)


def _in_class(image: int, seen: Found, true: Found, label: int, threshold: float) -> list[Place]:
    """Return the mistakes in one class of one image."""
    best, true_boxes, ignored = of_class(seen, true, label)
    chosen, overlaps = match_image(seen["boxes"][best].cpu(), true_boxes, ignored)
    scores = seen["scores"][best].tolist()
    places: list[Place] = []
    for number, at in enumerate(best.tolist()):
        if chosen[0, number] < 0:
            overlap = float(overlaps[number].max(initial=0.0))
            places.append(Place(image, "false", at, label, overlap, (-scores[number],)))
    sure = np.array(scores) >= threshold
    taken = set(chosen[0, sure].tolist())
    members = (true["labels"] == label).nonzero().flatten().tolist()
    sizes = area(true_boxes).tolist()
    for number, at in enumerate(members):
        if number not in taken and not ignored[number]:
            overlap = float(overlaps[sure, number].max(initial=0.0))
            places.append(Place(image, "missed", at, label, overlap, (overlap, -sizes[number])))
    return places


def _corners(boxes: Tensor) -> list[Corners]:
    return [(left, top, right, bottom) for left, top, right, bottom in boxes.tolist()]
