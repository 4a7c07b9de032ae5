"""What every detector is: losses of images with their truth, detections of images without.

A detector says, for each of its places (an anchor, a cell, a proposal), how surely each class
is there and in which box; what follows from that is the same for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from regard.core.boxes import clip
from regard.core.errors import InputError
from regard.core.nms import batched_nms
from regard.core.shapes import Images
from regard.models.detect.backbone import Backbone
from regard.models.detect.context_attention import ContextAttention
from regard.models.detect.region_attention import RegionAttention
from regard.models.registry import Places

Truth = list[dict[str, Tensor]]
"""Of each image: `boxes` (box, 4), xyxy in pixels, and `labels` (box,), from 0."""

Detections = list[dict[str, Tensor]]
"""Of each image: `boxes` (box, 4), xyxy in pixels, `scores` and `labels` (box,), surest first."""

Losses = dict[str, Tensor]
"""Scalars by name, whose sum is lowered."""


class Raw(NamedTuple):
    """What a detector says of every place, before the likest are chosen; with gradients.

    Attributes:
        logits: the class scores are their sigmoid.
        boxes: xyxy in pixels.

    """

    logits: Float[Tensor, "batch place class"]
    boxes: Float[Tensor, "batch place 4"]


@dataclass(frozen=True)
class Selection:
    """Which of the places become detections.

    Attributes:
        score: the least that counts.
        overlap: IoU with a surer box of the same class above which a box is left out.
        candidates: how many of the surest (place, class) pairs of an image are looked at.
        most: how many detections an image has at most.

    """

    score: float = 0.01
    overlap: float = 0.5
    candidates: int = 1000
    most: int = 100

    def __call__(self, raw: Raw, size: tuple[int, int]) -> Detections:
        """Choose, for each image of `size` (height, width), the surest boxes of each class."""
        pairs = zip(raw.logits, raw.boxes, strict=True)
        return [self._of_image(logits, boxes, size) for logits, boxes in pairs]

    def _of_image(self, logits: Tensor, boxes: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        scores = logits.float().sigmoid()
        count = min(self.candidates, scores.numel())
        best = scores.detach().flatten().topk(count).indices
        best = best[scores.flatten()[best] > self.score]
        place, label = best // scores.shape[1], best % scores.shape[1]
        boxes, scores = clip(boxes[place].float(), size), scores.flatten()[best]
        kept = batched_nms(boxes.detach(), scores.detach(), label, self.overlap)[: self.most]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": label[kept]}


class Found(list[dict[str, Tensor]]):
    """Detections, and beside them what was said of every place.

    Args:
        detections: of each image.
        raw: of the same images.

    """

    def __init__(self, detections: Detections, raw: Raw) -> None:
        super().__init__(detections)
        self.raw = raw


class Detector(nn.Module):
    """A backbone, a neck and a head; a subclass says what its places are and what they cost.

    Attributes:
        backbone: gives the maps.
        classes: how many.
        selection: which places become detections.
        places: where attention goes in the parts of the network: `backbone`, `neck`, `head`. (For
            regions of interest, `rois`, there are `slots`.)

    """

    backbone: Backbone
    neck: nn.Module
    head: nn.Module
    classes: int
    selection: Selection
    places: Mapping[str, Places]

    def forward(self, images: Images, truth: Truth | None = None) -> Losses | Detections:
        """Return the losses where the truth is given, and else what is found (`Found`).

        Args:
            images: normalised, (batch, 3, height, width).
            truth: of each image.

        Raises:
            InputError: the truth is not of these images or has classes that the head has not.

        """
        if truth is None:
            raw = self.raw(images)
            return Found(self.selection(raw, (images.shape[2], images.shape[3])), raw)
        self._check(images, truth)
        return self.losses(images, truth)

    def raw(self, images: Images) -> Raw:
        """Return what is said of every place."""
        raise NotImplementedError

    def countable(self, images: Images) -> object:
        """Run what is the same for images of any content, so that operations can be counted."""
        return self.raw(images)

    def losses(self, images: Images, truth: Truth) -> Losses:
        """Return the losses by name."""
        raise NotImplementedError

    def slots(self, part: str, *, context: bool) -> list[ContextAttention | RegionAttention]:
        """Return the slots of a part that a mechanism is put into.

        Args:
            part: `backbone`, `neck`, `head`, or `rois` for the regions of interest.
            context: whether the mechanism takes a second map.

        Returns:
            No slot where a mechanism of one map stands behind modules (see `places`).

        Raises:
            InputError: the mechanism has no place there.

        """
        if part != "rois" and not context:
            return []
        kind = RegionAttention if part == "rois" else ContextAttention
        place = {"neck": "neck", "head": "head", "rois": "head"}.get(part)
        inside = getattr(self, place, None) if place else None
        modules = [] if inside is None else inside.modules()
        slots = [module for module in modules if isinstance(module, kind)]
        name = type(self).__name__
        if part == "rois" and not slots:
            raise InputError(
                f"{name} has no regions of interest to attend to one another; write @head for "
                "its cells, or take faster_rcnn"
            )
        if not slots:
            raise InputError(
                f"a mechanism that takes a second map has no place at {part!r} in {name}; write "
                "@neck or @head"
            )
        return slots

    def _check(self, images: Tensor, truth: Truth) -> None:
        if len(truth) != len(images):
            raise InputError(f"{len(images)} images came with the truth of {len(truth)}")
        for one in truth:
            labels, boxes = one["labels"], one["boxes"]
            if boxes.shape != (len(labels), 4):
                raise InputError(
                    f"boxes of shape {tuple(boxes.shape)} with {len(labels)} labels; give "
                    "(box, 4) and (box,)"
                )
            if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
                raise InputError(
                    f"labels from {int(labels.min())} to {int(labels.max())} for a detector of "
                    f"{self.classes} classes; they must be 0 to {self.classes - 1}"
                )


def flat(maps: Float[Tensor, "batch channel row col"], numbers: int) -> Tensor:
    """Return (batch, place, numbers) of a head's map, in the order of `level_anchors`."""
    batch, channels, rows, cols = maps.shape
    shaped = maps.view(batch, channels // numbers, numbers, rows, cols)
    return shaped.permute(0, 3, 4, 1, 2).reshape(batch, -1, numbers)


def empty(like: Tensor) -> Tensor:
    """Return a zero that has a gradient, for a loss of nothing."""
    return like.sum() * 0.0
