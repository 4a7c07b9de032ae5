"""A one-stage detector without anchors: decoupled head, task-aligned assignment.

In the line of YOLO (Redmon, Divvala, Girshick, Farhadi 2015, arXiv 1506.02640). A neck with a path
down and one up (PANet, arXiv 1803.01534); a decoupled head as in YOLOX (Ge et al. 2021, arXiv
2107.08430); assignment and class loss of TOOD (Feng et al. 2021, arXiv 2108.07755), equation 5
for its class loss; complete IoU (arXiv 1911.08287) and, as an option, distributions over
distances (arXiv 2006.04388) for the boxes. Towers are shared by all levels, as in FCOS.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regard.attention.options import at_least
from regard.core.boxes import ciou
from regard.core.shapes import Images
from regard.models.detect.anchors import cell_centres
from regard.models.detect.backbone import read_backbone
from regard.models.detect.detector import Detector, Losses, Raw, Selection, Truth, flat
from regard.models.detect.distribution import distribution_focal_loss, expected
from regard.models.detect.fpn import FeaturePyramid
from regard.models.detect.parts import part_places
from regard.models.detect.task_aligned import assign
from regard.models.detect.towers import TOWERS_WIDER, Towers
from regard.models.registry import Places, register

_BOX_WEIGHT = 2.0
"""Of the box loss beside the class loss, as in TOOD."""


class Yolo(Detector):
    """A one-stage detector whose cells say the distances of a box's sides.

    Args:
        classes: how many.
        backbone: a word for it (see `read_backbone`).
        finest: stride of the finest level.
        levels: how many there are, each half as large as the one before.
        channels: of the pyramid and the head.
        depth: convolutions of each of the head's towers.
        bins: distances 0 … bins − 1, in strides, over which each side is a distribution; 0 has
            the sides said as numbers.
        most, alpha, beta: of the assignment (see `assign`).
        gamma: of the class loss.
        distribution_weight: of the loss of the distributions.
        prior: the probability of an object that the head starts with.
        selection: which places become detections.

    """

    def __init__(
        self,
        classes: int,
        *,
        backbone: str,
        finest: int = 8,
        levels: int = 3,
        channels: int = 64,
        depth: int = 2,
        bins: int = 16,
        most: int = 13,
        alpha: float = 1.0,
        beta: float = 6.0,
        gamma: float = 2.0,
        distribution_weight: float = 0.25,
        prior: float = 0.01,
        selection: Selection | None = None,
    ) -> None:
        super().__init__()
        at_least(0, bins=bins)
        self.classes, self.bins = classes, bins
        self.backbone = read_backbone(backbone, finest=finest)
        given = self.backbone.channels[:levels]
        self.neck = FeaturePyramid(given, channels, extra=levels - len(given), upwards=True)
        first = self.backbone.strides[0]
        self.strides = [first * 2**level for level in range(levels)]
        self.head = Towers(channels, depth, classes, 4 * max(bins, 1), prior=prior)
        self.assigning = {"most": most, "alpha": alpha, "beta": beta}
        self.gamma, self.distribution_weight = gamma, distribution_weight
        self.selection = selection or Selection()
        self.places = part_places(self.backbone)

    def raw(self, images: Images) -> Raw:
        """Return the class logits and the boxes of every cell."""
        logits, sides, centres, strides = self._run(images)
        return Raw(logits, self._boxes(sides, centres, strides))

    def losses(self, images: Images, truth: Truth) -> Losses:
        """Return the losses of classes, boxes and distributions, over the sum of the targets."""
        logits, sides, centres, strides = self._run(images)
        predicted = self._boxes(sides, centres, strides)
        targets = torch.zeros_like(logits)
        positives, wanted = [], []
        for image, one in enumerate(truth):
            found = assign(
                logits[image].sigmoid(),
                predicted[image],
                centres,
                one["boxes"],
                one["labels"],
                **self.assigning,
            )
            at = found.positive.nonzero().flatten()
            targets[image, at, one["labels"][found.box[at]]] = found.target[at]
            positives.append(torch.stack((torch.full_like(at, image), at), 1))
            wanted.append(one["boxes"][found.box[at]])
        total = targets.sum().clamp(min=1.0)
        image, place = torch.cat(positives).unbind(1)
        boxes, weight = torch.cat(wanted), targets[image, place].sum(1)
        overlap = (1 - ciou(predicted[image, place], boxes)) * weight
        losses = {
            "classes": self._class_loss(logits, targets) / total,
            "boxes": _BOX_WEIGHT * overlap.sum() / total,
        }
        if self.bins:
            distances = _distances(boxes, centres[place]) / strides[place, None]
            spread = distribution_focal_loss(
                sides[image, place].view(-1, self.bins), distances.flatten()
            )
            spread = (spread.view(-1, 4).mean(1) * weight).sum()
            losses["distributions"] = self.distribution_weight * spread / total
        return losses

    def _class_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Σ |t̂ − s|^γ BCE(s, t̂): equation 5 of TOOD, whose negatives have t̂ = 0."""
        entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        # The power's gradient is part of the loss, as in focal loss.
        return ((targets - logits.sigmoid()).abs() ** self.gamma * entropy).sum()

    def _boxes(self, sides: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
        """Turn what is said of the four sides into xyxy in pixels: (batch, place, 4)."""
        if self.bins:
            sides = expected(sides.unflatten(-1, (4, self.bins)))
        else:
            sides = F.softplus(sides) * 2  # an untrained cell says a box of about 3 × 3 cells
        sides = sides * strides[:, None]
        return torch.cat((centres - sides[..., :2], centres + sides[..., 2:]), -1)

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return logits and sides (batch, place, …), centres (place, 2) and strides (place,)."""
        pyramid = self.neck(self.backbone(images))
        logits, sides, centres, strides = [], [], [], []
        for (class_map, box_map), stride in zip(self.head(pyramid), self.strides, strict=True):
            logits.append(flat(class_map.float(), self.classes))
            sides.append(flat(box_map.float(), box_map.shape[1]))
            rows, cols = class_map.shape[2:]
            centres.append(cell_centres(rows, cols, stride, device=images.device))
            strides.append(torch.full((rows * cols,), float(stride), device=images.device))
        return torch.cat(logits, 1), torch.cat(sides, 1), torch.cat(centres), torch.cat(strides)


def _distances(boxes: Tensor, centres: Tensor) -> Tensor:
    """Return the distances of the sides from the centres: left, top, right, bottom."""
    return torch.cat((centres - boxes[:, :2], boxes[:, 2:] - centres), 1)


@register(
    "yolo",
    paper="Redmon et al., 2015",
    arxiv="1506.02640",
    size=64,
    places=Places(gate="backbone", mixing="backbone"),
    task="detect",
    widens=TOWERS_WIDER,
)
def yolo(
    classes: int, *, backbone: str = "resnet18", channels: int = 64, **options: Any
) -> nn.Module:
    """One stage, no anchors: three levels from stride 8 on, 64 channels, decoupled head."""
    return Yolo(classes, backbone=backbone, channels=channels, **options)
