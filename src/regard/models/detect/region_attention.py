"""Attention between the regions of interest of an image.

Hu, Gu, Zhang, Dai, Wei, "Relation Networks for Object Detection", 2018 (arXiv 1711.11575), sections
3.1 and 3.2: behind each dense layer of the head, a region is described with the help of the other
regions of its image. The paper's relation module is multi-head attention whose scores have a
geometric part, of the boxes' offsets; any mechanism of ours can stand here instead, and sees what
the regions look like alone. The paper adds what the regions say of each other to the features; ours
is blended in (see `Blended`), which starts as the identity.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.attention.blended import started
from regard.attention.registry import create, mechanisms
from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.core.shapes import ContextMap

Regions = Float[Tensor, "roi channel"]
"""A vector for each region, one image after the other."""

_MANY = 512
"""Regions that a mechanism is tried on: more than a head has in an image."""


class RegionAttention(nn.Module):
    """The regions of each image attend to one another; themselves until a mechanism is put in.

    A mechanism gets the regions of one image as a map of one row, image by image, so that no image
    learns of another and none is filled up.

    Args:
        channels: of a region's vector.
        context_channels: of the map that mechanisms with a context read.

    """

    def __init__(self, channels: int, context_channels: int) -> None:
        super().__init__()
        self.channels, self.context_channels = channels, context_channels
        self.attention: nn.Module | None = None
        self.reads_context = False

    def put(self, name: str, **options: Any) -> None:
        """Put a mechanism in: gates as in their papers, others starting as the identity.

        A bias of position is off, since regions have no order.

        Raises:
            InputError: no such mechanism or option; or it depends on the order of the regions.

        """
        known = mechanisms[name]
        if known.output != "map":
            raise InputError(f"mechanism {name!r} returns a vector; @rois needs one a region")
        if "position_bias" in known.options:
            options = {"position_bias": False, **options}
        if known.context:
            options = {"context_channels": self.context_channels, **options}
        mechanism = create(name, self.channels, **options)
        if not self._is_blind_to_order(mechanism, context=known.context):
            raise InputError(
                f"mechanism {name!r} with these options depends on where positions lie on a map, "
                "and the regions of an image have no order; put it @head, over the cells of each "
                "region, or choose another, such as multi_head"
            )
        self.attention = started(known, mechanism, known.start)
        self.reads_context = known.context

    def forward(self, regions: Regions, counts: Sequence[int], context: ContextMap) -> Regions:
        """Attend.

        Args:
            regions: (roi, channel), one image after the other.
            counts: how many of them each image has; there may be none.
            context: a map of each image, for mechanisms with a context.

        """
        if self.attention is None:
            return regions
        attended = []
        for mine, around in zip(regions.split(list(counts)), context.split(1), strict=True):
            given = (around,) if self.reads_context else ()
            row = mine.T[None, :, None]
            attended.append(self.attention(row, *given)[0, :, 0].T if len(mine) else mine)
        return torch.cat(attended)

    def _is_blind_to_order(self, mechanism: nn.Module, *, context: bool) -> bool:
        """Try a copy with random weights: at first, weights may be 0 that are not later."""
        random = generator(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=random, dtype=torch.float64)

        tried = copy.deepcopy(mechanism).double().eval()
        row = drawn(1, self.channels, 1, _MANY)
        order = torch.randperm(_MANY, generator=random)
        around = (drawn(1, self.context_channels, 3, 2),) if context else ()
        with torch.no_grad():
            for parameter in tried.parameters():
                fan = parameter[0].numel() if parameter.ndim else 1
                parameter.copy_(drawn(*parameter.shape) / fan**0.5)
            straight = tried(row, *around)
            shuffled = tried(row[..., order], *around)
        return straight.shape == row.shape and torch.allclose(straight[..., order], shuffled)
