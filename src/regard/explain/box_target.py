"""A box as a target: how like the box that is explained the likest box of an output is.

Petsiuk, Jain, Manjunatha et al. 2020, "Black-box Explanation of Object Detectors via Saliency
Maps" (arXiv 2006.03204), equations 3 to 6: two boxes are as like as the product of their
intersection over union, the cosine of their class probabilities, and the objectness of the box
that was found; of all boxes found, the likest counts.

Detectors return two forms, and both are read:

- a dict for each image, with `boxes` (box, 4) xyxy in pixels, `scores` (box,) and `labels` (box,),
  as torchvision's return. Only one class a box is known: the cosine is 1 for the same class and 0
  for another, and the score takes objectness's place;
- `logits` (batch, query, class) and `pred_boxes` (batch, query, 4), centre and size from 0 to 1,
  as DETR and its kin return in transformers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.labels import class_index, label_of
from regard.explain.targets import Rows, Score, Target

Number = int | float
Corners = tuple[Number, Number, Number, Number]
"""A box as users write it: left, top, right, bottom."""


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


@dataclass(frozen=True)
class BoxTarget(Target):
    """A box that a detector found, or one that a user drew.

    Attributes:
        rank: 0 for the box that the detector is surest of, 1 for the next, …; of each image its
            own.
        name: only boxes of this class count, an index or a label; None for all.
        box: xyxy, instead of a found one, and then `name` must be given and `rank` be 0. In pixels,
            or in shares of the image's sides where that is how the detector returns its boxes.
        activation: of DETR's kin: `softmax` where the last class is "no object" (DETR), `sigmoid`
            where there is no such class (Deformable DETR, RT-DETR).

    """

    rank: int = 0
    name: int | str | None = None
    box: Corners | None = None
    activation: Literal["softmax", "sigmoid"] = "softmax"

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the likeness of the likest box.

        Raises:
            InputError: the output is no detector's, or no such box was found.

        """
        found = detections(output, self.activation)
        index = None if self.name is None else class_index(self.name, labels, self._count(output))
        wanted = [self._wanted(image, index, number) for number, image in enumerate(found)]
        names = tuple(_described(one, labels, in_pixels=_is_list(output)) for one in wanted)

        def likeness(output: Any, image: Rows) -> Tensor:
            rows = detections(output, self.activation)
            pairs = zip(image.tolist(), rows, strict=True)
            return torch.stack([similarity(wanted[number], row) for number, row in pairs])

        return Score(likeness, names)

    def _count(self, output: Any) -> int:
        """Return how many classes there are; a list only tells those that were found."""
        if not _is_list(output):
            return detections(output, self.activation)[0].classes.shape[1]
        return self.name + 1 if isinstance(self.name, int) else 0

    def _wanted(self, found: Detections, index: int | None, number: int) -> Detections:
        if self.box is not None:
            return self._drawn(found, index)
        confidence = found.confidence.detach()
        order = confidence.argsort(descending=True).tolist()
        if index is not None:
            likeliest = found.classes.argmax(1).tolist()
            order = [place for place in order if likeliest[place] == index]
        if not 0 <= self.rank < len(order):
            kind = "" if self.name is None else f" of class {self.name!r}"
            raise InputError(
                f"box {self.rank} does not exist: the detector found {len(order)} boxes{kind} in "
                f"image {number}; give a lower rank, or a box="
            )
        one = slice(order[self.rank], order[self.rank] + 1)
        return Detections(
            found.boxes[one].detach(), found.classes[one].detach(), found.objectness[one].detach()
        )

    def _drawn(self, found: Detections, index: int | None) -> Detections:
        box = torch.tensor([self.box], device=found.boxes.device, dtype=found.boxes.dtype)
        if index is None or self.rank:
            raise InputError("a box= needs the name= of its class, and takes no rank")
        if not (box[0, 2:] > box[0, :2]).all():
            raise InputError(f"box {self.box} has no area; give (left, top, right, bottom)")
        classes = found.classes.new_zeros(1, max(found.classes.shape[1], index + 1))
        classes[0, index] = 1
        return Detections(box, classes, classes.new_ones(1))


def similarity(wanted: Detections, found: Detections) -> Float[Tensor, ""]:
    """Return how like a box the likest of those found is: from 0 to 1, and 0 where none was found.

    Args:
        wanted: one box.
        found: any number of boxes.

    """
    if not len(found.boxes):
        return found.objectness.new_zeros(())
    width = max(wanted.classes.shape[1], found.classes.shape[1])
    ours, theirs = (F.pad(d.classes, (0, width - d.classes.shape[1])) for d in (wanted, found))
    alike = F.cosine_similarity(ours, theirs, dim=1)
    return (intersection_over_union(wanted.boxes[0], found.boxes) * alike * found.objectness).amax()


def intersection_over_union(
    box: Float[Tensor, " 4"], boxes: Float[Tensor, "box 4"]
) -> Float[Tensor, " box"]:
    """Return the area that a box shares with others, over the area that the two cover."""
    start, end = torch.maximum(box[:2], boxes[:, :2]), torch.minimum(box[2:], boxes[:, 2:])
    shared = (end - start).clamp(min=0).prod(1)
    area = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared
    return shared / area.clamp(min=1e-12)


def detections(
    output: Any, activation: Literal["softmax", "sigmoid"] = "softmax"
) -> list[Detections]:
    """Return what a detector found, image by image.

    Args:
        output: of the detector, in one of the forms named above.
        activation: of `logits`.

    Raises:
        InputError: the output has neither form.

    """
    if _is_list(output):
        return [_listed(row) for row in output]
    logits, boxes = (
        output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        for name in ("logits", "pred_boxes")
    )
    if not isinstance(logits, Tensor) or not isinstance(boxes, Tensor):
        raise InputError(
            f"a box cannot be explained in a {type(output).__name__}: a detector returns a list of "
            "dicts with boxes, scores and labels, or logits and pred_boxes"
        )
    if activation == "softmax":
        classes = logits.softmax(2)[..., :-1]
        objectness = classes.sum(2)
    else:
        classes = logits.sigmoid()
        objectness = classes.amax(2)
    centre, size = boxes[..., :2], boxes[..., 2:]
    corners = torch.cat([centre - size / 2, centre + size / 2], 2)
    return [Detections(*row) for row in zip(corners, classes, objectness, strict=True)]


def _is_list(output: Any) -> bool:
    return isinstance(output, (list, tuple)) and all(
        isinstance(row, Mapping) and {"boxes", "scores", "labels"} <= row.keys() for row in output
    )


def _listed(row: Mapping[str, Tensor]) -> Detections:
    labels, scores = row["labels"].long(), row["scores"]
    classes = F.one_hot(labels, int(labels.max()) + 1 if len(labels) else 1)
    return Detections(row["boxes"], classes * scores[:, None], scores)


def _described(wanted: Detections, labels: Sequence[str], *, in_pixels: bool) -> str:
    name = label_of(int(wanted.classes[0].argmax()), labels)
    corners = (f"{x:.0f}" if in_pixels else f"{x:.0%}" for x in wanted.boxes[0].tolist())
    return f"{name} at ({', '.join(corners)})"
