"""Augmentation for detection: scale and crop, flip, mosaic, colour; boxes go along.

Every image's draws come from a generator of its own, so that an augmented image depends on nothing
but its place in the set, the epoch and the seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from regard.core.errors import InputError
from regard.data.detection_dataset import Boxes
from regard.data.placement import (
    GREY,
    Placement,
    Size,
    Window,
    draw_on,
    letterbox,
    place_boxes,
)

_ATTEMPTS = 10
_LUMA = (0.299, 0.587, 0.114)

Example = tuple[NDArray[np.uint8], Boxes]
"""An image, (height, width, 3), and its boxes."""


@dataclass(frozen=True)
class BoxAugment:
    """How to augment images with boxes; each part can be switched off.

    Scale and crop are one: the image is scaled by a factor and laid on the canvas at random, so
    that it is cropped where it is larger (Ghiasi, Cui, Srinivas, Qian, Lin, Cubuk, Le, Zoph 2021,
    arXiv 2012.07177, "large scale jittering"). A place where no box is left is drawn again.

    Attributes:
        flip: mirror half of the images left to right.
        flip_vertical: turn half of them upside down (microscopes and satellites have no up).
        scale: least and greatest factor, 1 being the whole image on the canvas; (1, 1) for none.
        visible: boxes of which less than this share is left are dropped.
        brightness: greatest change of the brightness, as a factor: 0.2 for 0.8 to 1.2.
        contrast: likewise, around mid-grey.
        saturation: likewise, around the pixel's grey.
        hue: greatest turn of the colours, in shares of a full turn.
        mosaic: how likely an image is made of four (Bochkovskiy, Wang, Liao 2020, arXiv
            2004.10934): they meet at a point of the canvas, each scaled on its own.
        mosaic_until: epochs after which there is no mosaic, since no real image looks like one;
            None for always.

    Raises:
        InputError: a range that is empty, or a share outside of 0 to 1.

    """

    flip: bool = True
    flip_vertical: bool = False
    scale: tuple[float, float] = (0.5, 1.5)
    visible: float = 0.3
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.02
    mosaic: float = 0.0
    mosaic_until: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale={self.scale}; give (least, greatest), both positive")
        if self.mosaic_until is not None and not (self.mosaic and self.mosaic_until >= 1):
            raise InputError(
                f"mosaic_until={self.mosaic_until} and mosaic={self.mosaic}; give at least 1 "
                "epoch, and a share of mosaics above 0"
            )
        for name in ("visible", "brightness", "contrast", "saturation", "hue", "mosaic"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)}; give a share from 0 to 1")

    def companions(self, count: int, epoch: int, random: torch.Generator) -> list[int]:
        """Draw which three images of `count` make a mosaic with this one; none without mosaic."""
        wanted = _uniform(random) < self.mosaic
        chosen = torch.randint(count, (3,), generator=random).tolist()
        over = self.mosaic_until is not None and epoch >= self.mosaic_until
        return chosen if wanted and not over else []

    def place(self, example: Example, canvas: Size, random: torch.Generator) -> Example:
        """Lay one image on the canvas: ((height, width, 3), boxes)."""
        pixels, boxes = example
        size = (pixels.shape[0], pixels.shape[1])
        placement = self._scaled(size, canvas, random)
        shown = boxes
        for _ in range(_ATTEMPTS):
            placement = self._anywhere(placement, size, canvas, random)
            shown = place_boxes(boxes, size, placement, canvas, visible=self.visible)
            if len(shown) or not len(boxes):
                break
        drawn = np.full((*canvas, 3), GREY, dtype=np.uint8)
        draw_on(drawn, pixels, placement)
        return drawn, shown

    def mosaic_of(
        self, examples: Sequence[Example], canvas: Size, random: torch.Generator
    ) -> Example:
        """Lay four images around a point of the middle of the canvas, a corner of each there."""
        row = round(canvas[0] * (0.25 + 0.5 * _uniform(random)))
        col = round(canvas[1] * (0.25 + 0.5 * _uniform(random)))
        drawn = np.full((*canvas, 3), GREY, dtype=np.uint8)
        shown: list[Boxes] = []
        for number, (pixels, boxes) in enumerate(examples):
            below, right = divmod(number, 2)
            window: Window = (
                col if right else 0,
                row if below else 0,
                canvas[1] if right else col,
                canvas[0] if below else row,
            )
            size = (pixels.shape[0], pixels.shape[1])
            scaled = self._scaled(size, canvas, random)
            height, width = size[0] * scaled.scale[0], size[1] * scaled.scale[1]
            shift = (row - (0.0 if below else height), col - (0.0 if right else width))
            placement = Placement(scaled.scale, shift, scaled.mirrored, scaled.upside_down)
            draw_on(drawn, pixels, placement, window)
            shown.append(place_boxes(boxes, size, placement, canvas, window, self.visible))
        together = (torch.cat([getattr(each, part) for each in shown]) for part in _PARTS)
        return drawn, Boxes(*together)

    def colour(self, random: torch.Generator) -> Float[Tensor, "3 4"]:
        """Draw a change of colours: new RGB = the first three columns · RGB + the last, in [0, 1].

        Hue turns around the grey axis in YIQ, as a linear map; so do saturation, brightness and
        contrast, and all of them are one.
        """
        brightness, contrast, saturation = (
            1 + strength * (2 * _uniform(random) - 1)
            for strength in (self.brightness, self.contrast, self.saturation)
        )
        angle = 2 * math.pi * self.hue * (2 * _uniform(random) - 1)
        cos, sin = saturation * math.cos(angle), saturation * math.sin(angle)
        turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
        matrix = brightness * contrast * (_FROM_YIQ @ turn @ _TO_YIQ)
        offset = torch.full((3, 1), 0.5 * (1 - contrast))
        return torch.cat([matrix, offset], 1)

    def _scaled(self, size: Size, canvas: Size, random: torch.Generator) -> Placement:
        """Draw factor and flips; the factor is even on a logarithmic scale."""
        low, high = (math.log(factor) for factor in self.scale)
        factor = math.exp(low + (high - low) * _uniform(random))
        scale = letterbox(size, canvas).scale[0] * factor
        mirrored = _uniform(random) < 0.5
        turned = _uniform(random) < 0.5
        return Placement(
            (scale, scale), (0.0, 0.0), self.flip and mirrored, self.flip_vertical and turned
        )

    def _anywhere(
        self, placement: Placement, size: Size, canvas: Size, random: torch.Generator
    ) -> Placement:
        """Draw a place: inside of the canvas where the image is smaller, around it else."""
        room = [canvas[axis] - size[axis] * placement.scale[axis] for axis in (0, 1)]
        shift = (room[0] * _uniform(random), room[1] * _uniform(random))
        return Placement(placement.scale, shift, placement.mirrored, placement.upside_down)


def recolour(
    images: Float[Tensor, "batch 3 height width"], changes: Float[Tensor, "batch 3 4"]
) -> Float[Tensor, "batch 3 height width"]:
    """Change the colours of each image by its own `BoxAugment.colour`; values stay in [0, 1]."""
    changed = torch.baddbmm(changes[:, :, 3:], changes[:, :, :3], images.flatten(2))
    return changed.clamp_(0, 1).view_as(images)


_PARTS = ("corners", "labels", "ignored")

# NTSC's luma and chroma; the inverse is computed, so that no change is no change.
_TO_YIQ = torch.tensor([_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
_FROM_YIQ = torch.linalg.inv(_TO_YIQ.double()).float()


def _uniform(random: torch.Generator) -> float:
    return torch.rand((), generator=random).item()
