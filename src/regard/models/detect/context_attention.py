"""Attention in a detector where it has two maps: a slot for mechanisms with a context.

Mechanisms of one map stand behind a module (`regard.attention.insert`). Those of two (`cross`,
`attention_gate`) must be handed the second: in the neck the coarser map, which the finer one is
merged with; in the head the pyramid's coarsest map, which sees the whole image.
"""

from typing import Any

from torch import nn

from regard.attention.blended import started
from regard.attention.registry import create, mechanisms
from regard.core.shapes import ContextMap, FeatureMap


class ContextAttention(nn.Module):
    """A map, attended with the help of a second one; the map itself until a mechanism is put in.

    Args:
        channels: of the map and of its context.

    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.attention: nn.Module | None = None

    def put(self, name: str, **options: Any) -> None:
        """Put a mechanism in: gates as in their papers, others starting as the identity.

        Raises:
            InputError: no such mechanism, or an option that it does not take.

        """
        mechanism = create(name, self.channels, **options)
        known = mechanisms[name]
        self.attention = started(known, mechanism, known.start)

    def forward(self, x: FeatureMap, context: ContextMap) -> FeatureMap:
        """Attend: (batch, channel, height, width) to the same."""
        return x if self.attention is None else self.attention(x, context)
