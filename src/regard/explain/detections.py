"""The boxes in what a detector returned, whatever form it returns them in.

Detectors return three forms, and all are read:

- a dict for each image, with `boxes` (box, 4) xyxy in pixels, `scores` (box,) and `labels` (box,),
  as torchvision's return. Only one class a box is known;
- the same with `raw` beside it, as our own detectors do: `logits` (batch, place, class) and `boxes`
  (batch, place, 4) of every place, before the likest are chosen. What is there of a box that is no
  longer found is still seen there, and every number has a gradient;
- `logits` (batch, query, class) and `pred_boxes` (batch, query, 4), centre and size from 0 to 1,
  as DETR and its kin return in transformers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from regard.core.boxes import to_xyxy
from regard.core.errors import InputError

Activation = Literal["auto", "softmax", "sigmoid"]
"""Of the logits of DETR's kin; `auto` tells by how many there are."""


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes that a detector found in one image.

    Attributes:
        boxes: xyxy, in pixels, or in shares of the image's sides.
        classes: how likely each class is of each box; only its direction counts.
        objectness: of each box, from 0 to 1.

    """

    boxes: Float[Tensor, "box 4"]
    classes: Float[Tensor, "box class"]
    objectness: Float[Tensor, " box"]

    @property
    def confidence(self) -> Float[Tensor, " box"]:
        """How likely the likeliest class of each box is."""
        return self.classes.amax(1)


def detections(
    output: Any, activation: Activation = "auto", *, labels: int = 0
) -> list[Detections]:
    """Return what a detector found, image by image.

    Args:
        output: of the detector, in one of the forms named above.
        activation: of the logits of DETR's kin.
        labels: how many classes have names; 0 where that is not known.

    Raises:
        InputError: the output has none of these forms.

    """
    if is_list(output):
        return [_listed(row) for row in output]
    return _queries(output, activation, labels)


def places_of(output: Any, activation: Activation = "auto", *, labels: int = 0) -> list[Detections]:
    """Return all that a detector says, image by image: every place, or what it found.

    Arguments and errors as of `detections`.
    """
    raw = getattr(output, "raw", None)
    if raw is None:
        return detections(output, activation, labels=labels)
    classes = raw.logits.sigmoid()
    return [Detections(*row) for row in zip(raw.boxes, classes, classes.amax(2), strict=True)]


def is_detection(output: Any) -> bool:
    """Return True if boxes can be read from an output."""
    return (is_list(output) and len(output) > 0) or _fields(output)[0] is not None


def is_list(output: Any) -> bool:
    """Return True for a list of dicts, which has its boxes in pixels."""
    return isinstance(output, (list, tuple)) and all(
        isinstance(row, Mapping) and {"boxes", "scores", "labels"} <= row.keys() for row in output
    )


def count_of(output: Any, activation: Activation = "auto", *, labels: int = 0) -> int:
    """Return how many classes a detector tells apart; 0 where its list does not tell."""
    if is_list(output) and getattr(output, "raw", None) is None:
        return 0
    return places_of(output, activation, labels=labels)[0].classes.shape[1]


def _fields(output: Any) -> tuple[Tensor | None, Tensor | None]:
    """Return `logits` and `pred_boxes`, None for what is not there."""
    logits, boxes = (
        output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        for name in ("logits", "pred_boxes")
    )
    ours = isinstance(logits, Tensor) and isinstance(boxes, Tensor)
    return (logits, boxes) if ours else (None, None)


def _queries(output: Any, activation: Activation, labels: int) -> list[Detections]:
    logits, boxes = _fields(output)
    if logits is None or boxes is None:
        raise InputError(
            f"a box cannot be explained in a {type(output).__name__}: a detector returns a list of "
            "dicts with boxes, scores and labels, or logits and pred_boxes"
        )
    if activation == "auto":
        # DETR has one more, for "no object"; Deformable DETR and RT-DETR have none.
        activation = "sigmoid" if logits.shape[2] == labels else "softmax"
    if activation == "softmax":
        classes = logits.softmax(2)[..., :-1]
        objectness = classes.sum(2)
    else:
        classes = logits.sigmoid()
        objectness = classes.amax(2)
    corners = to_xyxy(boxes)
    return [Detections(*row) for row in zip(corners, classes, objectness, strict=True)]


def _listed(row: Mapping[str, Tensor]) -> Detections:
    labels, scores = row["labels"].long(), row["scores"]
    classes = F.one_hot(labels, int(labels.max()) + 1 if len(labels) else 1)
    return Detections(row["boxes"], classes * scores[:, None], scores)


def row_at(found: Detections, at: int) -> Detections:
    """Return one of the boxes that were found, without its gradient."""
    one = slice(at, at + 1)
    return Detections(*(t[one].detach() for t in (found.boxes, found.classes, found.objectness)))


def drawn(box: Tensor, index: int, classes: int) -> Detections:
    """Return a box that a user drew, (4,), surely of one class."""
    told = F.one_hot(torch.tensor([index], device=box.device), max(classes, index + 1))
    return Detections(box[None], told.to(box), torch.ones_like(box[:1]))
