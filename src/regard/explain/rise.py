"""RISE: what the score is worth where a random mask lets the image through.

Petsiuk, Das & Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models"
(arXiv 1806.07421), equation 6 and section 3.2. A mask is a coarse grid of zeros and ones,
upsampled and shifted at random; a pixel's importance is the mean of the score over the masks,
each counted by what it lets through there, divided by what is let through in expectation.

Beyond the paper:

- its score is a probability. Ours may be any number, such as a logit, and then the chance that one
  pixel was let through more often than another outweighs all else. We take the mean score away
  first (`centre`), which in expectation takes the same constant from every pixel: what is left is
  above 0 where seeing the pixel raises the score, and a constant model has a map of zeros;
- the size of a cell is rounded up, as in the authors' program, because rounded down the upsampled
  mask may not cover the image; the shift is from 0 to one less than a cell, likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.explain.altered_copies import CHUNK, Copies, scores_as_wanted
from regard.explain.explainer import Maps, register
from regard.explain.fill import Fill, fill_for
from regard.explain.targets import Score

# The error that chance leaves in the map is larger than that of scores rounded by so much.
_TOLERANCE = 0.2


@dataclass(frozen=True, eq=False)
class RandomMasks:
    """Random masks over an image, kept as the coarse grids that they are made from.

    Attributes:
        grids: zeros and ones, before they are upsampled.
        shifts: how many pixels of the upsampled mask are cut off at the top and at the left.
        size: of the image, (height, width).

    """

    grids: Float[Tensor, "mask row col"]
    shifts: Int[Tensor, "mask 2"]
    size: tuple[int, int]

    @classmethod
    def draw(
        cls, count: int, cells: int, keep: float, size: tuple[int, int], seed: int
    ) -> "RandomMasks":
        """Draw masks.

        Args:
            count: how many.
            cells: of a grid, along each side.
            keep: the probability that a cell lets the image through.
            size: of the image, (height, width).
            seed: the same seed draws the same masks, on any device.

        Raises:
            InputError: no masks, no cells or more than pixels, or no probability.

        """
        if count < 1:
            raise InputError(f"masks is {count}; at least one is needed")
        if not 1 <= cells <= min(size):
            raise InputError(
                f"cells is {cells}; an image of {size[0]}×{size[1]} pixels can have 1 to "
                f"{min(size)} along a side"
            )
        if not 0 < keep < 1:
            raise InputError(f"keep is {keep}; it is a probability between 0 and 1, and neither")
        chance = generator(seed)
        grids = (torch.rand(count, cells, cells, generator=chance) < keep).float()
        cell = [-(-side // cells) for side in size]
        shifts = [torch.randint(0, pixels, (count,), generator=chance) for pixels in cell]
        return cls(grids, torch.stack(shifts, 1), size)

    def at(
        self, numbers: Sequence[int], device: torch.device
    ) -> Float[Tensor, "mask 1 height width"]:
        """Return masks at the size of the image, from 0 (hidden) to 1."""
        chosen = torch.tensor(list(numbers))
        grids = self.grids[chosen].to(device)[:, None]
        height, width = self.size
        cells = self.grids.shape[1]
        whole = [(cells + 1) * -(-side // cells) for side in self.size]
        large = F.interpolate(grids, whole, mode="bilinear", align_corners=False)
        shifts = self.shifts[chosen].tolist()
        return torch.stack(
            [
                mask[:, top : top + height, left : left + width]
                for mask, (top, left) in zip(large, shifts, strict=True)
            ]
        )


@register(
    "rise",
    family="perturbation",
    answers="How much higher is the target's score while a pixel is seen and others are hidden?",
    paper="Petsiuk et al., 2018",
    arxiv="1806.07421",
    dear=True,
    examples=({"cells": 4}, {"fill": "blur"}, {"seed": 1}),
    quick={"masks": 32},
)
def rise(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    masks: int = 1000,
    cells: int = 7,
    keep: float = 0.5,
    centre: bool = True,
    seed: int = 0,
    fill: Fill = "mean",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    chunk: int = CHUNK,
) -> Maps:
    """Return RISE's map: (batch, row, col) of pixels.

    One forward pass for each mask; all images get the same masks.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.
        masks: how many; the paper has 4000 for VGG-16 and 8000 for ResNet-50. The error that
            chance leaves falls with their square root.
        cells: of a mask, along each side.
        keep: the probability that a cell lets the image through.
        centre: whether the mean score is taken away first; False for the paper's estimator.
        seed: of the masks.
        fill: what a hidden pixel becomes: `mean` (zero after preprocessing, as in the paper),
            `blur`, or a number.
        precision: `float32`; `bfloat16`, which is faster and rounds the scores; or `auto`, which
            takes bfloat16 where that is shown to matter less than chance does.
        chunk: how many copies run together.

    Raises:
        InputError: no masks, cells or probability of these, an unknown fill or precision.

    """
    size = (int(images.shape[2]), int(images.shape[3]))
    drawn = RandomMasks.draw(masks, cells, keep, size, seed)
    fills = fill_for(images, fill)
    values, notes = [], dict[str, None]()
    for number in range(images.shape[0]):
        copies = masked_copies(images[number], fills[number], drawn)
        scores, why = scores_as_wanted(
            model, copies, score, number, precision, tolerance=_TOLERANCE, chunk=chunk
        )
        notes |= dict.fromkeys(why)
        values.append(importance(scores - scores.mean() if centre else scores, drawn, keep, chunk))
    return Maps(torch.stack(values), "signed", chosen=tuple(notes))


def masked_copies(image: Tensor, fill: Tensor, masks: RandomMasks) -> Copies:
    """Return a copy of the image for each mask, faded to the fill where the mask hides it.

    Args:
        image: (channel, height, width).
        fill: likewise.
        masks: one a copy.

    """

    def make(numbers: Sequence[int]) -> Tensor:
        return torch.lerp(fill[None], image[None], masks.at(numbers, image.device).to(image.dtype))

    return Copies(len(masks.grids), make)


def importance(
    scores: Float[Tensor, " mask"], masks: RandomMasks, keep: float, chunk: int
) -> Float[Tensor, "row col"]:
    """Return the mean of masks, each counted by its score, over what one lets through (eq. 6)."""
    total = scores.new_zeros(masks.size)
    for start in range(0, len(scores), chunk):
        numbers = range(start, min(start + chunk, len(scores)))
        shown = masks.at(numbers, scores.device)[:, 0]
        total += (scores[start : start + chunk, None, None] * shown).sum(0)
    return total / (keep * len(scores))
