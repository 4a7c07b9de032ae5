"""A mechanism that starts as the identity, so that it can go into a trained network."""

import torch
from torch import Tensor, nn

from regard.attention.registry import Mechanism
from regard.core.shapes import FeatureMap


class Blended(nn.Module):
    """x + γ (m(x) − x), with a learnable γ that starts at 0; γ = 1 is the mechanism alone.

    At γ = 0 only γ has a gradient, the inner product of the output's gradient with m(x) − x; the
    mechanism's own parameters have one, scaled by γ, as soon as the first step has moved γ.
    (ReZero, Bachlechner et al. 2020, arXiv 2003.04887, starts residual branches in the same way.)

    Args:
        mechanism: maps (batch, channel, height, width) to the same shape.

    """

    def __init__(self, mechanism: nn.Module) -> None:
        super().__init__()
        self.mechanism = mechanism
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: FeatureMap, *context: Tensor) -> FeatureMap:
        """(batch, channel, height, width) to the same; a context goes to the mechanism."""
        return x + self.gamma * (self.mechanism(x, *context) - x)


def started(known: Mechanism, mechanism: nn.Module, start: str) -> nn.Module:
    """Return a mechanism so that it starts as it should, and can leave that.

    One that starts as the identity by itself is left alone: of γ (m(x) − x) with γ = 0 and
    m(x) = x neither factor has a gradient, and the mechanism would stay the identity for ever.

    Args:
        known: its entry in the registry.
        mechanism: as it was built.
        start: `paper` for as it was built, or `identity`.

    """
    as_built = start == "paper" or known.starts_as_identity
    return mechanism if as_built else Blended(mechanism)
