"""What a detector learns from: the sum of the losses that it says itself."""

from dataclasses import dataclass
from typing import Any

import torch

from regard.core.shapes import Images
from regard.train.objective import Forward, Outcome


@dataclass(frozen=True)
class Detection:
    """A detector's losses, added up; called with images and their truth it returns them by name."""

    shares: tuple[str, ...] = ()

    def training(self, forward: Forward, images: Images, truth: list[dict[str, Any]]) -> Outcome:
        """Images and, for each, `boxes` and `labels`, to the sum of the losses."""
        losses = list(forward(images, truth).values())
        return Outcome(torch.stack(losses).sum(), len(images))

    def validation(self, forward: Forward, images: Images, truth: list[dict[str, Any]]) -> Outcome:
        """Do the same."""
        return self.training(forward, images, truth)
