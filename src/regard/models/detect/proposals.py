"""Region proposals: where in the image anything is, whatever it is.

Ren, He, Girshick, Sun, "Faster R-CNN", 2015 (arXiv 1506.01497), section 3.1, over the levels of a
feature pyramid (Lin et al. 2016, arXiv 1612.03144, section 4.1). Anchors that cross the image's
border are kept, as in the latter.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.boxes import clip, iou
from regard.core.nms import batched_nms
from regard.models.detect.anchors import cell_anchors, decode, encode, level_anchors
from regard.models.detect.detector import Losses, Truth, empty, flat
from regard.models.detect.matching import BACKGROUND, match

_SMOOTH = 1 / 9
_LEAST_SIDE = 1.0
"""Of a proposal, in pixels."""


class RegionProposals(nn.Module):
    """A small network that slides over every level and says where objects are.

    Args:
        channels: of the pyramid's maps.
        strides: of its levels.
        anchor: side of the square anchor, in strides of its level.
        ratios: height over width of the anchors of a cell.
        candidates: how many anchors of each level are looked at.
        most: how many proposals an image has.
        overlap: IoU with a better one above which a proposal is left out.
        sampled: anchors of an image in the loss; at most half of them positive.

    """

    def __init__(
        self,
        channels: int,
        strides: Sequence[int],
        *,
        anchor: float = 4.0,
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        candidates: int = 400,
        most: int = 200,
        overlap: float = 0.7,
        sampled: int = 256,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.cells = [cell_anchors(anchor * stride, ratios, (1.0,)) for stride in strides]
        self.candidates, self.most, self.overlap = candidates, most, overlap
        self.sampled = sampled
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, len(ratios), 1)
        self.offsets = nn.Conv2d(channels, 4 * len(ratios), 1)
        for layer in (self.conv, self.objectness, self.offsets):
            nn.init.normal_(layer.weight, 0.0, 0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(
        self, pyramid: list[Tensor], size: tuple[int, int], truth: Truth | None = None
    ) -> tuple[list[Tensor], Losses]:
        """Propose boxes in images of `size` (height, width).

        Returns:
            The proposals of each image, (proposal, 4), best first, without gradients; and, where
            the truth is given, the losses of objectness and boxes.

        """
        scores, offsets, anchors = [], [], []
        for level, stride, cell in zip(pyramid, self.strides, self.cells, strict=True):
            score, offset = self.on_level(level)
            scores.append(score)
            offsets.append(offset)
            rows, cols = level.shape[2:]
            anchors.append(level_anchors(rows, cols, stride, cell.to(level.device)))
        proposals = [
            self._of_image([s[image] for s in scores], [o[image] for o in offsets], anchors, size)
            for image in range(len(pyramid[0]))
        ]
        if truth is None:
            return proposals, {}
        losses = self._losses(
            torch.cat(scores, 1), torch.cat(offsets, 1), torch.cat(anchors), truth
        )
        return proposals, losses

    def on_level(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (batch, anchor) and offsets (batch, anchor, 4) of a map's anchors."""
        hidden = self.conv(level).relu()
        scores = flat(self.objectness(hidden).float(), 1)[..., 0]
        return scores, flat(self.offsets(hidden).float(), 4)

    @torch.no_grad()
    def _of_image(
        self,
        scores: list[Tensor],
        offsets: list[Tensor],
        anchors: list[Tensor],
        size: tuple[int, int],
    ) -> Tensor:
        """Choose the best anchors of each level, then the best that do not overlap."""
        boxes, found, levels = [], [], []
        for level, (score, offset, anchor) in enumerate(zip(scores, offsets, anchors, strict=True)):
            best = score.topk(min(self.candidates, len(score))).indices
            boxes.append(clip(decode(offset[best], anchor[best]), size))
            found.append(score[best])
            levels.append(torch.full_like(best, level))
        box, score, level = torch.cat(boxes), torch.cat(found), torch.cat(levels)
        large = ((box[:, 2:] - box[:, :2]) >= _LEAST_SIDE).all(1)
        box, score, level = box[large], score[large], level[large]
        return box[batched_nms(box, score, level, self.overlap)[: self.most]]

    def _losses(self, scores: Tensor, offsets: Tensor, anchors: Tensor, truth: Truth) -> Losses:
        logits, wanted, found, targets = [], [], [], []
        for image, one in enumerate(truth):
            matched = match(iou(one["boxes"], anchors), low=0.3, high=0.7)
            chosen = sample(matched >= 0, matched == BACKGROUND, self.sampled, 0.5)
            logits.append(scores[image, chosen])
            wanted.append((matched[chosen] >= 0).float())
            positive = chosen[matched[chosen] >= 0]
            found.append(offsets[image, positive])
            targets.append(encode(one["boxes"][matched[positive]], anchors[positive]))
        number = max(1, sum(len(each) for each in logits))
        entropy = F.binary_cross_entropy_with_logits(
            torch.cat(logits), torch.cat(wanted), reduction="sum"
        )
        boxes = F.smooth_l1_loss(
            torch.cat(found), torch.cat(targets), beta=_SMOOTH, reduction="sum"
        )
        return {
            "objectness": entropy / number + empty(scores),
            "proposals": boxes / number + empty(offsets),
        }


def sample(
    positive: Bool[Tensor, " place"], negative: Bool[Tensor, " place"], number: int, share: float
) -> Int[Tensor, " chosen"]:
    """Choose places at random, by torch's own generator, which training seeds before each step.

    Args:
        positive: places of which there is something.
        negative: places of which there is nothing.
        number: how many are chosen, or all if there are less.
        share: of them that is positive at most; negatives take the place of those that lack.

    """
    yes, no = (which.nonzero().flatten() for which in (positive, negative))
    some = yes[torch.randperm(len(yes))[: int(number * share)].to(yes.device)]
    rest = no[torch.randperm(len(no))[: number - len(some)].to(no.device)]
    return torch.cat((some, rest))


def level_of(boxes: Float[Tensor, "box 4"], strides: Sequence[int]) -> Int[Tensor, " box"]:
    """Return the level whose features a box is read from (arXiv 1612.03144, equation 1).

    k = ⌊k₀ + log₂(√(w h) / 224)⌋ with k₀ the level of stride 16, and no further than there are.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1.0).sqrt()
    level = (4 + (sides / 224).log2()).floor() - torch.tensor(strides[0]).log2().to(sides)
    return level.clamp(0, len(strides) - 1).long()
