"""What the loop asks of a task: a loss to lower, and shares to count beside it.

Mapping one batch to an `Outcome` is all that tells one task from another; steps, schedule,
checkpoints, several devices and figures are the same for all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from regard.core.shapes import Images

Forward = Callable[..., Any]
"""The network, as Fabric or `torch.compile` wrap it."""


@dataclass(frozen=True)
class Outcome:
    """What a batch comes to.

    Attributes:
        loss: the mean over the images of the batch, a scalar that can be differentiated.
        images: how many there are.
        shares: for each name in the objective's `shares`, what counts and of how much: scalars,
            whose sums over an epoch are divided, such as correct images and images.

    """

    loss: Tensor
    images: int
    shares: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


@runtime_checkable
class Objective(Protocol):
    """A task, as the loop sees it."""

    @property
    def shares(self) -> tuple[str, ...]:
        """Return the names of what is counted, such as `("accuracy",)`; there may be none."""
        ...

    def training(self, forward: Forward, images: Images, truth: Any) -> Outcome:
        """Run the network on images (batch, 3, height, width), normalised, and judge it."""
        ...

    def validation(self, forward: Forward, images: Images, truth: Any) -> Outcome:
        """Do the same without what is for training only, such as smoothed labels."""
        ...


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of logits (batch, class) and labels (batch,), and accuracy.

    Attributes:
        label_smoothing: probability spread over the other classes, in training only (Szegedy,
            Vanhoucke, Ioffe, Shlens, Wojna 2015, arXiv 1512.00567, section 7).

    """

    label_smoothing: float = 0.0
    shares: tuple[str, ...] = ("accuracy",)

    def training(self, forward: Forward, images: Images, truth: Tensor) -> Outcome:
        """Images and labels to the loss with smoothed labels."""
        return self._judge(forward(images), truth, self.label_smoothing)

    def validation(self, forward: Forward, images: Images, truth: Tensor) -> Outcome:
        """Images and labels to the plain cross-entropy."""
        return self._judge(forward(images), truth, 0.0)

    @staticmethod
    def _judge(logits: Tensor, labels: Tensor, smoothing: float) -> Outcome:
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        correct = (logits.detach().argmax(1) == labels).sum()
        return Outcome(loss, len(labels), {"accuracy": (correct, torch.tensor(len(labels)))})


def summed(outcome: Outcome, names: tuple[str, ...]) -> Tensor:
    """Return (2 + 2 · name,), float64: loss × images, images, then both sides of each share."""
    loss = outcome.loss.detach()
    numbers = [loss * outcome.images, torch.tensor(outcome.images)]
    numbers += [number for name in names for number in outcome.shares[name]]
    return torch.stack([number.detach().to(loss.device).double() for number in numbers])


def figures_of(sums: list[float], names: tuple[str, ...]) -> dict[str, float]:
    """Return the loss and the shares that sums over batches (see `summed`) come to."""
    loss, images, *sides = sums
    shares = zip(names, sides[::2], sides[1::2], strict=True)
    return {
        "loss": loss / images,
        **{name: right / of if of else 0.0 for name, right, of in shares},
    }
