"""Faster R-CNN: proposals first, then a class and a better box for each.

Ren, He, Girshick, Sun, 2015 (arXiv 1506.01497), on a feature pyramid (Lin et al. 2016, arXiv
1612.03144, section 4.2), with RoIAlign (He et al. 2017, arXiv 1703.06870) in place of RoI pooling.
Both are trained together ("approximate joint training", section 3.2). We differ in that a box is
refined in the same way for every class, that the head is narrower, and in fewer proposals.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.boxes import iou
from regard.core.shapes import Images
from regard.models.detect.anchors import decode, encode
from regard.models.detect.backbone import read_backbone
from regard.models.detect.context_attention import ContextAttention
from regard.models.detect.detector import Detector, Losses, Raw, Selection, Truth, empty
from regard.models.detect.fpn import FeaturePyramid
from regard.models.detect.matching import match
from regard.models.detect.parts import part_places
from regard.models.detect.proposals import RegionProposals, level_of, sample
from regard.models.detect.region_attention import RegionAttention
from regard.models.detect.roi_align import roi_align
from regard.models.registry import Places, Widening, register

_SPREAD = (0.1, 0.1, 0.2, 0.2)
"""Standard deviations of a proposal's offsets: Fast R-CNN (arXiv 1504.08083) has them be 1."""

_NOWHERE = -1e4
"""The logit of a place that only fills the batch up."""


class RoiHead(nn.Module):
    """A class and offsets for each region of interest.

    Args:
        channels: of the pyramid's maps.
        classes: how many, without the background.
        strides: of the levels that regions are read from.
        side: cells of a region's map along each axis.
        width: of the two dense layers.

    Attributes:
        relations: behind each dense layer, a slot for attention between the regions of an image.

    """

    def __init__(
        self, channels: int, classes: int, strides: Sequence[int], *, side: int, width: int
    ) -> None:
        super().__init__()
        self.strides, self.side = tuple(strides), side
        self.attend = ContextAttention(channels)
        self.regions = nn.Identity()  # attention stands behind it
        self.dense = nn.Sequential(
            nn.Linear(channels * side * side, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
        )
        self.relations = nn.ModuleList(RegionAttention(width, channels) for _ in range(2))
        self.class_out = nn.Linear(width, classes + 1)
        self.box_out = nn.Linear(width, 4)
        nn.init.normal_(self.class_out.weight, 0.0, 0.01)
        nn.init.normal_(self.box_out.weight, 0.0, 0.001)
        for out in (self.class_out, self.box_out):
            nn.init.zeros_(out.bias)

    def forward(self, pyramid: list[Tensor], boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Look at the boxes of each image.

        Returns:
            Class logits (roi, class + 1), the background last, and offsets (roi, 4), one image
            after the other.

        """
        # Where a region lies would be rounded to cells in half precision.
        with torch.autocast(pyramid[0].device.type, enabled=False):
            regions = self._pool([level.float() for level in pyramid], boxes)
        return self.judge(regions, [len(each) for each in boxes], pyramid[-1])

    def judge(self, regions: Tensor, counts: list[int], context: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` does of regions that were read already.

        Args:
            regions: (roi, channel, side, side), one image after the other.
            counts: how many each image has.
            context: the coarsest map of each image.

        """
        image = torch.cat([torch.full((count,), i) for i, count in enumerate(counts)])
        around = context[image.to(regions.device)]
        hidden = self.regions(self.attend(regions, around)).flatten(1)
        relations = iter(self.relations)
        for layer in self.dense:
            hidden = layer(hidden)
            if isinstance(layer, nn.Linear):
                hidden = next(relations)(hidden, counts, context)
        return self.class_out(hidden).float(), self.box_out(hidden).float()

    def _pool(self, pyramid: list[Tensor], boxes: list[Tensor]) -> Tensor:
        """Return (roi, channel, side, side), each region from the level of its size."""
        every = torch.cat(boxes)
        level = level_of(every, self.strides)
        counts = [len(each) for each in boxes]
        channels = pyramid[0].shape[1]
        pooled = pyramid[0].new_zeros(len(every), channels, self.side, self.side)
        for index, stride in enumerate(self.strides):
            mine = level == index
            parts = [box[here] for box, here in zip(boxes, mine.split(counts), strict=True)]
            features = roi_align(pyramid[index], parts, self.side, scale=1 / stride)
            pooled = pooled.index_put((mine.nonzero().flatten(),), features)
        return pooled


class FasterRCNN(Detector):
    """A two-stage detector.

    Args:
        classes: how many.
        backbone: a word for it (see `read_backbone`).
        finest: stride of the finest level.
        levels: how many there are, each half as large as the one before.
        channels: of the pyramid and the heads.
        anchor, ratios, candidates, proposals: of the region proposals (see `RegionProposals`).
        side: cells of a region's map along each axis.
        width: of the head's dense layers.
        sampled: regions of an image in the loss; at most a quarter of them positive.
        selection: which places become detections.

    """

    def __init__(
        self,
        classes: int,
        *,
        backbone: str,
        finest: int = 8,
        levels: int = 4,
        channels: int = 64,
        anchor: float = 4.0,
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        candidates: int = 400,
        proposals: int = 200,
        side: int = 7,
        width: int = 256,
        sampled: int = 128,
        selection: Selection | None = None,
    ) -> None:
        super().__init__()
        self.classes, self.sampled = classes, sampled
        self.backbone = read_backbone(backbone, finest=finest)
        given = self.backbone.channels[:levels]
        self.neck = FeaturePyramid(given, channels, extra=levels - len(given))
        strides = [self.backbone.strides[0] * 2**level for level in range(levels)]
        self.proposals = RegionProposals(
            channels, strides, anchor=anchor, ratios=ratios, candidates=candidates, most=proposals
        )
        self.head = RoiHead(channels, classes, strides, side=side, width=width)
        self.selection = selection or Selection()
        self.places = part_places(self.backbone, head="head.regions")

    def raw(self, images: Images) -> Raw:
        """Return the class logits and the boxes of every proposal; images with less are filled."""
        pyramid = self.neck(self.backbone(images))
        size = (images.shape[2], images.shape[3])
        proposals, _ = self.proposals(pyramid, size)
        logits, offsets = self.head(pyramid, proposals)
        # What makes a sigmoid of the softmax: the logarithm of p / (1 − p).
        odds = logits.softmax(1)[:, : self.classes].logit(1e-6)
        boxes = decode(offsets * offsets.new_tensor(_SPREAD), torch.cat(proposals))
        counts = [len(each) for each in proposals]
        most = max(counts)
        filled = [
            (F.pad(o, (0, 0, 0, most - n), value=_NOWHERE), F.pad(b, (0, 0, 0, most - n)))
            for o, b, n in zip(odds.split(counts), boxes.split(counts), counts, strict=True)
        ]
        return Raw(*(torch.stack(each) for each in zip(*filled, strict=True)))

    def countable(self, images: Images) -> None:
        """Run all but the choice of proposals and RoIAlign, on as many regions as may be."""
        pyramid = self.neck(self.backbone(images))
        for level in pyramid:
            self.proposals.on_level(level)
        head, most = cast("RoiHead", self.head), self.proposals.most
        regions = images.new_zeros(len(images) * most, pyramid[0].shape[1], head.side, head.side)
        head.judge(regions, [most] * len(images), pyramid[-1])

    def losses(self, images: Images, truth: Truth) -> Losses:
        """Return the losses of the proposals, and those of classes and boxes."""
        pyramid = self.neck(self.backbone(images))
        size = (images.shape[2], images.shape[3])
        proposals, losses = self.proposals(pyramid, size, truth)
        regions, labels, targets = [], [], []
        for found, one in zip(proposals, truth, strict=True):
            # The true boxes are among the proposals, or there were no positives at first.
            found = torch.cat((one["boxes"], found))
            matched = match(iou(one["boxes"], found), low=0.5, high=0.5, best=False)
            chosen = sample(matched >= 0, matched < 0, self.sampled, 0.25)
            box, matched = found[chosen], matched[chosen]
            positive = matched >= 0
            label = torch.full_like(matched, self.classes)
            label[positive] = one["labels"][matched[positive]]
            regions.append(box)
            labels.append(label)
            targets.append(encode(one["boxes"][matched[positive]], box[positive]))
        logits, offsets = self.head(pyramid, regions)
        label, target = torch.cat(labels), torch.cat(targets)
        target = target / target.new_tensor(_SPREAD)
        boxes = F.smooth_l1_loss(offsets[label < self.classes], target, reduction="sum")
        number = max(1, len(label))
        classes = F.cross_entropy(logits, label, reduction="sum")
        return losses | {
            "classes": classes / number,
            "boxes": boxes / number + empty(offsets),
        }


@register(
    "faster_rcnn",
    paper="Ren et al., 2015",
    arxiv="1506.01497",
    size=64,
    places=Places(gate="backbone", mixing="backbone"),
    task="detect",
    widens=Widening("channels"),
)
def faster_rcnn(
    classes: int, *, backbone: str = "resnet18", channels: int = 64, **options: Any
) -> nn.Module:
    """Two stages: proposals on a pyramid of 64 channels, RoIAlign of 7 × 7, two dense layers."""
    return FasterRCNN(classes, backbone=backbone, channels=channels, **options)
