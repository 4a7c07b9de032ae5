"""A box as a target: how like the box that is explained the likest place of an output is.

Petsiuk, Jain, Manjunatha et al. 2020, "Black-box Explanation of Object Detectors via Saliency
Maps" (arXiv 2006.03204), equations 3 to 6: two boxes are as like as the product of their
intersection over union, the cosine of their class probabilities, and the objectness of the box
that was found; of all boxes found, the likest counts. Where only one class a box is known, the
cosine is 1 for the same class and 0 for another, and the score takes objectness's place.

Beyond the paper:

- of a detector that says it, all places count, those that lost to a surer one and those too unsure
  to be found too: so that the score falls bit by bit, and has a gradient everywhere;
- of the likest place, the class or the location can be asked for alone: the class's probability,
  the intersection over union, or where one side lies. A box that was found is its own likest, so
  that its intersection over union cannot rise and has no gradient; its sides have one, as in Zhao &
  Chan 2023 (ODAM, arXiv 2304.06354), who explain each of them by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError, unknown_name
from regard.core.labels import class_index, label_of
from regard.explain.detections import (
    Activation,
    Detections,
    count_of,
    detections,
    drawn,
    is_list,
    places_of,
    row_at,
)
from regard.explain.place import Corners, Place
from regard.explain.targets import Rows, Score, Target

Part = Literal["both", "class", "location", "left", "top", "right", "bottom"]
"""What of a box is explained."""

# Of a box that lies elsewhere, the intersection over union is less.
_APART = 0.1

_SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class BoxTarget(Target):
    """A box that a detector found, or one that a user drew.

    Attributes:
        rank: 0 for the box that the detector is surest of, 1 for the next, …; of each image its
            own.
        name: only boxes of this class count, an index or a label; None for all, or of a drawn box
            for the class of the box that was found there.
        box: left, top, right, bottom, instead of a found one; then `rank` must be 0. In pixels, or
            in shares of the image's sides where that is how the detector returns its boxes.
        part: `both` class and location, their likeness together; `class` for how likely it is;
            `location` for the intersection over union; `left`, `top`, `right`, `bottom` for how
            far out that side lies, in the unit of the boxes.
        activation: of DETR's kin: `softmax` where the last class is "no object" (DETR), `sigmoid`
            where there is no such class (Deformable DETR, RT-DETR); `auto` tells by the number of
            labels, and without labels takes it for DETR's.

    """

    rank: int = 0
    name: int | str | None = None
    box: Corners | None = None
    part: Part = "both"
    activation: Activation = "auto"

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the likeness of the likest box, or a part of it.

        Raises:
            InputError: the output is no detector's, no such box was found, or no such part.

        """
        if self.part not in get_args(Part):
            raise unknown_name("part of a box", self.part, get_args(Part))
        found = detections(output, self.activation, labels=len(labels))
        count = self._count(output, len(labels))
        index = None if self.name is None else class_index(self.name, labels, count)
        wanted = [self._wanted(image, index, number) for number, image in enumerate(found)]
        sure = [self._sure(one, image) for one, image in zip(wanted, found, strict=True)]
        if self.part == "class":
            rows = places_of(output, self.activation, labels=len(labels))
            others = [another_class(one, row) for one, row in zip(wanted, rows, strict=True)]
        else:
            others = [another_box(one, row) for one, row in zip(wanted, found, strict=True)]
        known = [one for one in others if one is not None]
        other = self._score(known, sure, output, labels) if len(known) == len(others) else None
        return replace(self._score(wanted, sure, output, labels), other=other)

    def _score(
        self, wanted: list[Detections], sure: list[float], output: Any, labels: Sequence[str]
    ) -> Score:
        """Return the score of one box in each image."""
        places = tuple(
            Place(
                label_of(int(one.classes[0].argmax()), labels),
                share,
                box=_corners(one),
                in_pixels=is_list(output),
            )
            for one, share in zip(wanted, sure, strict=True)
        )

        def of(output: Any, image: Rows) -> Tensor:
            rows = places_of(output, self.activation, labels=len(labels))
            pairs = zip(image.tolist(), rows, strict=True)
            return torch.stack([_part(wanted[number], row, self.part) for number, row in pairs])

        return Score(of, tuple(self._described(place) for place in places), places)

    def _count(self, output: Any, labels: int) -> int:
        """Return how many classes there are; a list only tells those that were found."""
        count = count_of(output, self.activation, labels=labels)
        return count or (self.name + 1 if isinstance(self.name, int) else 0)

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
        return row_at(found, order[self.rank])

    def _drawn(self, found: Detections, index: int | None) -> Detections:
        box = torch.tensor(self.box, device=found.boxes.device, dtype=found.boxes.dtype)
        if self.rank:
            raise InputError("a box= takes no rank")
        if not (box[2:] > box[:2]).all():
            raise InputError(f"box {self.box} has no area; give (left, top, right, bottom)")
        if index is None:
            overlap = intersection_over_union(box, found.boxes.detach()) * found.confidence.detach()
            if not len(overlap) or overlap.max() <= 0:
                raise InputError(
                    f"the detector found nothing in box {self.box}, which therefore needs the "
                    "name= of its class"
                )
            index = int(found.classes[overlap.argmax()].argmax())
        return drawn(box, index, found.classes.shape[1])

    def _sure(self, wanted: Detections, found: Detections) -> float:
        """Return how sure the detector is of a box: its probability; of a drawn one, likeness."""
        if self.box is None:
            return float(wanted.confidence[0])
        return float(similarity(wanted, found).detach())

    def _described(self, place: Place) -> str:
        assert place.box is not None
        corners = (f"{x:.0f}" if place.in_pixels else f"{x:.0%}" for x in place.box)
        told = f"{place.label} at ({', '.join(corners)})"
        if self.part in _SIDES:
            return f"the {self.part} side of {told}"
        return told if self.part == "both" else f"the {self.part} of {told}"


def likeness(wanted: Detections, found: Detections) -> Float[Tensor, " box"]:
    """Return how like a box each of those found is, from 0 to 1.

    Args:
        wanted: one box.
        found: any number of boxes.

    """
    width = max(wanted.classes.shape[1], found.classes.shape[1])
    ours, theirs = (F.pad(d.classes, (0, width - d.classes.shape[1])) for d in (wanted, found))
    alike = F.cosine_similarity(ours, theirs, dim=1)
    return intersection_over_union(wanted.boxes[0], found.boxes) * alike * found.objectness


def similarity(wanted: Detections, found: Detections) -> Float[Tensor, ""]:
    """Return how like a box the likest of those found is: from 0 to 1, and 0 where none was found.

    Args:
        wanted: one box.
        found: any number of boxes.

    """
    return _part(wanted, found, "both")


def another_class(wanted: Detections, found: Detections) -> Detections | None:
    """Return a box as if it were of another class; None where no other is known there.

    The class in the middle of the ranking of the likest place: the next is often nearly the same,
    and the least likely its opposite.
    """
    if not len(found.boxes):
        return None
    own = int(wanted.classes[0].argmax())
    at = likeness(wanted, found).detach().argmax()
    ranking = found.classes[at].detach().argsort(descending=True).tolist()
    others = [one for one in ranking if one != own and found.classes[at, one] > 0]
    if not others:
        return None
    return drawn(wanted.boxes[0], others[len(others) // 2], len(ranking))


def another_box(wanted: Detections, found: Detections) -> Detections | None:
    """Return the surest box that lies elsewhere; None where none was found.

    What is asked of a box with its location is compared with another box, of whatever class.
    """
    overlap = intersection_over_union(wanted.boxes[0], found.boxes.detach())
    apart = (overlap < _APART).nonzero().flatten()
    if not len(apart):
        return None
    return row_at(found, int(apart[found.confidence.detach()[apart].argmax()]))


def intersection_over_union(
    box: Float[Tensor, " 4"], boxes: Float[Tensor, "box 4"]
) -> Float[Tensor, " box"]:
    """Return the area that a box shares with others, over the area that the two cover.

    Unlike `regard.core.boxes.iou` in any unit, shares of the image's sides too.
    """
    start, end = torch.maximum(box[:2], boxes[:, :2]), torch.minimum(box[2:], boxes[:, 2:])
    shared = (end - start).clamp(min=0).prod(1)
    area = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared
    return shared / area.clamp(min=1e-12)


def _part(wanted: Detections, found: Detections, part: Part) -> Float[Tensor, ""]:
    """Return what is asked of the place that is likest a box; 0 where there is none."""
    if not len(found.boxes):
        return found.objectness.new_zeros(())
    like = likeness(wanted, found)
    at = int(like.detach().argmax())
    if part == "both":
        return like[at]
    if part == "location":
        return intersection_over_union(wanted.boxes[0], found.boxes[at : at + 1])[0]
    if part == "class":
        own = int(wanted.classes[0].argmax())
        inside = own < found.classes.shape[1]
        return found.classes[at, own] if inside else found.objectness.new_zeros(())
    side = _SIDES.index(part)
    # Further out is more: to the left and up are the negative directions.
    return found.boxes[at, side] * (1 if side > 1 else -1)


def _corners(one: Detections) -> Corners:
    left, top, right, bottom = one.boxes[0].tolist()
    return left, top, right, bottom
