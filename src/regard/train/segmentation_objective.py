"""What training asks of a segmenter: a loss of its logits, and the share of right pixels."""

from dataclasses import dataclass

from torch import Tensor

from regard.core.labels import VOID
from regard.core.shapes import Images
from regard.train.objective import Forward, Outcome
from regard.train.segmentation_loss import SegmentationLoss


@dataclass(frozen=True)
class Segmentation:
    """A loss of logits (batch, class, height, width) and classes, and pixel accuracy.

    Attributes:
        loss: of logits and classes (batch, height, width), 255 for void.

    """

    loss: SegmentationLoss
    shares: tuple[str, ...] = ("pixel_accuracy",)

    def training(self, forward: Forward, images: Images, truth: Tensor) -> Outcome:
        """Images and classes to the loss."""
        logits = forward(images)
        known = truth != VOID
        right = ((logits.detach().argmax(1) == truth) & known).sum()
        loss = self.loss(logits, truth)
        return Outcome(loss, len(images), {"pixel_accuracy": (right, known.sum())})

    validation = training
