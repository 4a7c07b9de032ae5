"""Pictures of a photograph's size and detail, made of noise."""

import numpy as np
from PIL import Image, ImageFilter

SIZES = ((640, 427), (333, 500), (300, 301), (100, 300), (900, 224))
"""(width, height): wide, tall, nearly square, smaller than a network's input, very wide."""


def photo(width, height, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1.5))


def levels_apart(preprocessing, ours, theirs):
    """The largest and the mean difference of two inputs, in the 255 levels of a picture."""
    difference = 255 * (preprocessing.denormalise(ours) - preprocessing.denormalise(theirs)).abs()
    return difference.max().item(), difference.mean().item()
