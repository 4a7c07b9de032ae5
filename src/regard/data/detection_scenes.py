"""Synthetic scenes for detection: none to four targets an image, with exact boxes."""

import numpy as np
import torch

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.data import scenes
from regard.data.detection_dataset import Boxes, DetectionDataset

_STREAM = 61
_PRESENT = 0.75
"""How likely a quarter has its target."""


def make_detection_scenes(
    n: int, size: int = 96, seed: int = 0, name: str = "scenes"
) -> DetectionDataset:
    """Make `n` images, each of two by two scenes with their distractors.

    Each quarter is a scene of `regard.data.scenes` of its own, and a quarter of the quarters lack
    their target. Image i depends on everything but `n`.

    Args:
        n: how many.
        size: height and width in pixels; even, at least 48.
        seed: two seeds give unrelated images.
        name: what the set is called.

    Raises:
        InputError: a number that is too small, or an odd size.

    """
    half = size // 2
    if size % 2 or half < scenes.SMALLEST:
        raise InputError(f"size={size}; give an even number, at least {2 * scenes.SMALLEST}")
    quarters = scenes.make(4 * n, half, seed=seed)
    empty = quarters.without_target()
    draws = [torch.rand(4, generator=generator(seed, _STREAM, index)) for index in range(n)]
    present = torch.cat(draws) < _PRESENT
    chosen = torch.where(present[:, None, None, None], quarters.images, empty)
    # (image, row, col, channel, y, x) to (image, y, x, channel)
    tiles = chosen.unflatten(0, (n, 2, 2)).permute(0, 1, 4, 2, 5, 3)
    pictures = np.ascontiguousarray(tiles.reshape(n, size, size, 3).numpy())
    offsets = torch.tensor([[0, 0], [half, 0], [0, half], [half, half]]).repeat(n, 2)
    corners = (quarters.boxes + offsets).float().unflatten(0, (n, 4))
    labels, there = quarters.labels.unflatten(0, (n, 4)), present.unflatten(0, (n, 4))
    truth = tuple(
        Boxes(corners[i][there[i]], labels[i][there[i]], torch.zeros(int(there[i].sum())).bool())
        for i in range(n)
    )
    return DetectionDataset(tuple(pictures), truth, quarters.classes, name)
