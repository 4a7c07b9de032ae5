"""Measure a detector: mAP by faster-coco-eval, its interval over images, and the worst mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import generator
from regard.train.detection_matching import (
    MOST,
    RECALLS,
    THRESHOLDS,
    Found,
    Matched,
    average_precision,
    match_image,
    of_class,
)

DRAWS = 500
_STREAM = 141


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: of all images.
        low: where the interval begins; None where none was asked for, or of one image only.
        high: where it ends.

    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, eq=False)
class ClassScore:
    """How one class was found.

    Attributes:
        ap50: average precision at IoU 0.5; None where the truth has no such box.
        ap50_95: its mean over the IoUs from 0.5 to 0.95.
        truths: how many true boxes there are.
        precision: (101,), at IoU 0.5 and the recalls 0, 0.01, …, 1, made to fall.
        threshold: the score from which on precision and recall have their best harmonic mean.
        best: (precision, recall) there.

    """

    ap50: Estimate | None
    ap50_95: Estimate | None
    truths: int
    precision: NDArray[np.float64]
    threshold: float
    best: tuple[float, float]


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """How a detector did.

    Attributes:
        map50: mean over classes of the average precision at IoU 0.5.
        map50_95: its mean over the IoUs 0.5, 0.55, …, 0.95.
        per_class: by name; classes of which the truth has no box have no figures.
        images: how many there were.

    """

    map50: Estimate
    map50_95: Estimate
    per_class: dict[str, ClassScore]
    images: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `regard evaluate --json` prints them; `interval` is mAP50's."""
        return {
            "mAP50": self.map50.value,
            "interval": [self.map50.low, self.map50.high],
            "mAP50_95": self.map50_95.value,
            "mAP50_95_interval": [self.map50_95.low, self.map50_95.high],
            "images": self.images,
            "per_class": {
                name: {
                    "boxes": score.truths,
                    "AP50": score.ap50.value,
                    "interval": [score.ap50.low, score.ap50.high],
                    "AP50_95": score.ap50_95.value,
                    "AP50_95_interval": [score.ap50_95.low, score.ap50_95.high],
                    "best_threshold": score.threshold,
                    "precision": score.best[0],
                    "recall": score.best[1],
                }
                for name, score in self.per_class.items()
                if score.ap50 is not None and score.ap50_95 is not None
            },
        }


def score_detections(
    found: Sequence[Found],
    truth: Sequence[Found],
    classes: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> DetectionScores:
    """Compare found with true boxes, image by image.

    The interval is the bootstrap's (Efron 1979): as many images are drawn with replacement, many
    times over, and the middle 95 % of their mAPs kept.

    Args:
        found: of each image; the best 100 of each class count.
        truth: of each image, in the same pixels.
        classes: their names.
        draws: how many the interval rests on; 0 for no interval.
        seed: of the draws.

    Raises:
        InputError: the parts do not fit, or there is no true box at all.
        MissingPackage: faster-coco-eval is not installed.

    """
    _check(found, truth, classes)
    precision = coco_precision(found, truth, len(classes))
    matched = [match_class(found, truth, label) for label in range(len(classes))]
    present = [label for label, each in enumerate(matched) if each.truths.sum()]
    ap = {label: precision[:, :, label].mean(1) for label in present}
    lows, highs = _intervals(matched, present, draws if len(found) > 1 else 0, seed)

    def estimate(place: int, value: float) -> Estimate:
        if lows is None or highs is None:
            return Estimate(value)
        return Estimate(value, float(lows[place]), float(highs[place]))

    per_class = {}
    for label, name in enumerate(classes):
        place = 2 + 2 * present.index(label) if label in present else None
        per_class[name] = ClassScore(
            None if place is None else estimate(place, float(ap[label][0])),
            None if place is None else estimate(place + 1, float(ap[label].mean())),
            int(matched[label].truths.sum()),
            np.maximum(precision[0, :, label], 0.0),
            *_operating_point(matched[label]),
        )
    values = np.array([ap[label] for label in present])
    return DetectionScores(
        map50=estimate(0, float(values[:, 0].mean())),
        map50_95=estimate(1, float(values.mean())),
        per_class=per_class,
        images=len(found),
    )


def coco_precision(
    found: Sequence[Found], truth: Sequence[Found], classes: int
) -> NDArray[np.float64]:
    """Return faster-coco-eval's precision: (threshold, recall, class), -1 without a true box."""
    package = require("faster_coco_eval", extra="detect")
    boxes: list[dict[str, Any]] = []
    for image, each in enumerate(truth, 1):
        ignored = each.get("ignored", torch.zeros(len(each["labels"]), dtype=torch.bool))
        rows = zip(_xywh(each["boxes"]), each["labels"].tolist(), ignored.tolist(), strict=True)
        for box, label, crowd in rows:
            boxes.append(_annotation(len(boxes) + 1, image, box, label) | {"iscrowd": int(crowd)})
    detections: list[dict[str, Any]] = []
    for image, each in enumerate(found, 1):
        scores, labels = each["scores"].double().tolist(), each["labels"].tolist()
        for box, label, score in zip(_xywh(each["boxes"]), labels, scores, strict=True):
            entry = _annotation(len(detections) + 1, image, box, label)
            detections.append(entry | {"score": score})
    if not detections:
        missing = np.array(
            [not any((each["labels"] == k).any() for each in truth) for k in range(classes)]
        )
        return np.where(missing, -1.0, np.zeros((len(THRESHOLDS), len(RECALLS), 1)))
    true = package.COCO(
        {
            "images": [{"id": image} for image in range(1, len(truth) + 1)],
            "categories": [{"id": label, "name": str(label)} for label in range(classes)],
            "annotations": boxes,
        }
    )
    evaluation = package.COCOeval_faster(true, true.loadRes(detections), "bbox")
    evaluation.params.iouThrs, evaluation.params.recThrs = THRESHOLDS, RECALLS
    evaluation.params.maxDets = [MOST]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]


def match_class(found: Sequence[Found], truth: Sequence[Found], label: int) -> Matched:
    """Match the boxes of one class in all images."""
    scores, images, right, counted, truths = [], [], [], [], []
    for number, (seen, true) in enumerate(zip(found, truth, strict=True)):
        best, true_boxes, ignored = of_class(seen, true, label)
        chosen, _ = match_image(seen["boxes"][best].cpu(), true_boxes, ignored)
        hidden = np.append(ignored, False)[chosen]
        scores.append(seen["scores"][best].double().cpu().numpy())
        images.append(np.full(len(best), number))
        right.append((chosen >= 0) & ~hidden)
        counted.append(~hidden)
        truths.append(int((~ignored).sum()))
    return Matched(
        np.concatenate(scores),
        np.concatenate(images),
        np.concatenate(right, 1),
        np.concatenate(counted, 1),
        np.array(truths),
    )


def _intervals(
    matched: Sequence[Matched], present: Sequence[int], draws: int, seed: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Return the ends of the intervals: of both mAPs, then of both APs of each present class."""
    if not draws:
        return None, None
    count = len(matched[0].truths)
    dice = generator(seed, _STREAM, count)
    drawn = torch.randint(count, (draws, count), generator=dice)
    rows = []
    for each in drawn:
        weights = each.bincount(minlength=count).double().numpy()
        found = [average_precision(matched[label], weights) for label in present]
        if all(one is None for one in found):
            continue
        # A class of which this draw has no true box has no figure in it.
        ap = np.array([[np.nan, np.nan] if one is None else [one[0], one.mean()] for one in found])
        rows.append(np.concatenate([np.nanmean(ap, 0), ap.flatten()]))
    if not rows:
        return None, None
    low, high = np.nanquantile(np.array(rows), [0.025, 0.975], axis=0)
    return low, high


def _operating_point(matched: Matched) -> tuple[float, tuple[float, float]]:
    """Return the score with the best harmonic mean of precision and recall at IoU 0.5, and both."""
    order = np.argsort(-matched.scores, kind="stable")
    counted, right = matched.counted[0, order], matched.right[0, order]
    total = int(matched.truths.sum())
    if not total or not counted.any():
        return 1.0, (0.0, 0.0)
    scores = matched.scores[order]
    hits, seen = np.cumsum(right & counted), np.cumsum(counted)
    # All boxes of one score are taken or left together.
    last = np.append(scores[1:] != scores[:-1], True)
    mean = np.where(last, 2 * hits / (seen + total), -1.0)
    best = int(mean.argmax())
    precision = float(hits[best] / max(seen[best], 1))
    return float(scores[best]), (precision, float(hits[best] / total))


def _check(found: Sequence[Found], truth: Sequence[Found], classes: Sequence[str]) -> None:
    if len(found) != len(truth):
        raise InputError(f"boxes found in {len(found)} images, true boxes of {len(truth)}")
    labels = [each["labels"] for each in (*found, *truth) if len(each["labels"])]
    highest = max((int(each.max()) for each in labels), default=-1)
    if highest >= len(classes):
        raise InputError(
            f"boxes have labels up to {highest}, but there are {len(classes)} classes; "
            "evaluate on data with the model's classes"
        )
    real = (~each["ignored"] if "ignored" in each else each["labels"] >= 0 for each in truth)
    if not any(bool(each.any()) for each in real):
        raise InputError(f"not one of {len(truth)} images has a true box; there is nothing to find")


def _xywh(boxes: Tensor) -> list[list[float]]:
    boxes = boxes.double()
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()


def _annotation(number: int, image: int, box: list[float], label: int) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": label,
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
    }
