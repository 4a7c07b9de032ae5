"""RetinaNet: a feature pyramid, anchors at every cell, and the focal loss.

Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", 2017 (arXiv 1708.02002),
section 4. We differ in the head's size and norm (see `towers.Towers`), and a box's best anchors
answer for it also where they overlap it by less than a half.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.options import one_of
from regard.core.boxes import giou, iou
from regard.core.errors import InputError
from regard.core.shapes import Images
from regard.models.detect.anchors import cell_anchors, decode, encode, level_anchors
from regard.models.detect.backbone import read_backbone
from regard.models.detect.detector import Detector, Losses, Raw, Selection, Truth, flat
from regard.models.detect.focal_loss import focal_loss
from regard.models.detect.fpn import FeaturePyramid
from regard.models.detect.matching import IGNORED, match
from regard.models.detect.parts import part_places
from regard.models.detect.towers import TOWERS_WIDER, Towers
from regard.models.registry import Places, register

_SMOOTH = 1 / 9
"""Where the smooth L1 loss turns from a parabola into a line."""

_ALPHA, _GAMMA = 0.25, 2.0
"""The paper's best."""

_GIOU_WEIGHT = 2.0
"""Against the loss of the classes: one number a box, where smooth L1 sums four."""


class RetinaNet(Detector):
    """A one-stage detector with anchors.

    Args:
        classes: how many.
        backbone: a word for it (see `read_backbone`).
        finest: stride of the finest level.
        levels: how many there are, each half as large as the one before.
        channels: of the pyramid and the head.
        depth: convolutions of each of the head's towers.
        anchor: side of the square anchor of scale 1, in strides of its level.
        ratios, scales: the anchors of a cell are their combinations.
        loss: `focal`, or `cross_entropy`, the paper's baseline: γ = 0 and no α.
        alpha, gamma: of the focal loss; with cross-entropy they are left as they are.
        box_loss: `smooth_l1` of the offsets from the anchor, as in the paper, or `giou`
            (Rezatofighi et al. 2019, arXiv 1902.09630) of the boxes themselves.
        prior: the probability of an object that the head starts with.
        selection: which places become detections.

    Raises:
        InputError: no such loss or box loss, or alpha or gamma for cross-entropy.

    """

    def __init__(
        self,
        classes: int,
        *,
        backbone: str,
        finest: int = 8,
        levels: int = 4,
        channels: int = 64,
        depth: int = 2,
        anchor: float = 4.0,
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        scales: Sequence[float] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
        loss: str = "focal",
        alpha: float | None = _ALPHA,
        gamma: float = _GAMMA,
        box_loss: str = "smooth_l1",
        prior: float = 0.01,
        selection: Selection | None = None,
    ) -> None:
        super().__init__()
        one_of(("focal", "cross_entropy"), loss=loss)
        one_of(("smooth_l1", "giou"), box_loss=box_loss)
        self.classes = classes
        self.backbone = read_backbone(backbone, finest=finest)
        given = self.backbone.channels[:levels]
        self.neck = FeaturePyramid(given, channels, extra=levels - len(given))
        first = self.backbone.strides[0]
        self.strides = [first * 2**level for level in range(levels)]
        self.cells = [cell_anchors(anchor * stride, ratios, scales) for stride in self.strides]
        anchors = len(self.cells[0])
        self.head = Towers(channels, depth, anchors * classes, anchors * 4, prior=prior)
        self.focal = {"alpha": alpha, "gamma": gamma}
        if loss == "cross_entropy":
            if (alpha, gamma) != (_ALPHA, _GAMMA):
                raise InputError(
                    f"alpha={alpha} and gamma={gamma} are the focal loss's; leave them out with "
                    'loss="cross_entropy"'
                )
            self.focal = {"alpha": None, "gamma": 0.0}
        self.box_loss = _giou_loss if box_loss == "giou" else _smooth_l1_loss
        self.selection = selection or Selection()
        self.places = part_places(self.backbone)

    def raw(self, images: Images) -> Raw:
        """Return the class logits and the boxes of every anchor."""
        logits, offsets, anchors = self._run(images)
        return Raw(logits, decode(offsets, anchors))

    def losses(self, images: Images, truth: Truth) -> Losses:
        """Return the losses of classes and boxes, each over the number of positive anchors."""
        logits, offsets, anchors = self._run(images)
        targets = torch.zeros_like(logits)
        counted = torch.ones_like(logits[..., :1])
        found, chosen, wanted = [], [], []
        for image, one in enumerate(truth):
            matched = match(iou(one["boxes"], anchors), low=0.4, high=0.5)
            positive = matched >= 0
            targets[image, positive, one["labels"][matched[positive]]] = 1.0
            counted[image, matched == IGNORED] = 0.0
            found.append(offsets[image, positive])
            chosen.append(anchors[positive])
            wanted.append(one["boxes"][matched[positive]])
        number = max(1, sum(len(each) for each in wanted))
        classes = (focal_loss(logits, targets, **self.focal) * counted).sum()
        boxes = self.box_loss(torch.cat(found), torch.cat(chosen), torch.cat(wanted))
        return {"classes": classes / number, "boxes": boxes / number}

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (batch, place, class), offsets (batch, place, 4), anchors (place, 4)."""
        pyramid = self.neck(self.backbone(images))
        logits, offsets, anchors = [], [], []
        levels = zip(self.head(pyramid), self.strides, self.cells, strict=True)
        for (class_map, box_map), stride, cell in levels:
            logits.append(flat(class_map.float(), self.classes))
            offsets.append(flat(box_map.float(), 4))
            rows, cols = class_map.shape[2:]
            anchors.append(level_anchors(rows, cols, stride, cell.to(images.device)))
        return torch.cat(logits, 1), torch.cat(offsets, 1), torch.cat(anchors)


def _smooth_l1_loss(offsets: Tensor, anchors: Tensor, boxes: Tensor) -> Tensor:
    """Return the sum over boxes (box, 4) of the distance to the offsets that lead to them."""
    wanted = encode(boxes, anchors)
    return F.smooth_l1_loss(offsets, wanted, beta=_SMOOTH, reduction="sum")


def _giou_loss(offsets: Tensor, anchors: Tensor, boxes: Tensor) -> Tensor:
    """Return the sum over boxes (box, 4) of what is missed by those that the offsets lead to."""
    return _GIOU_WEIGHT * (1 - giou(decode(offsets, anchors), boxes)).sum()


@register(
    "retinanet",
    paper="Lin et al., 2017",
    arxiv="1708.02002",
    size=64,
    places=Places(gate="backbone", mixing="backbone"),
    task="detect",
    widens=TOWERS_WIDER,
)
def retinanet(
    classes: int, *, backbone: str = "resnet18", channels: int = 64, **options: Any
) -> nn.Module:
    """RetinaNet: a pyramid of 64 channels, four levels from stride 8 on, nine anchors a cell."""
    return RetinaNet(classes, backbone=backbone, channels=channels, **options)
