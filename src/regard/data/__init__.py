"""Data sets, each from one source, and the batches made of them."""

from regard.data.augment import Augment
from regard.data.batches import Batches
from regard.data.dataset import ImageDataset

__all__ = ["Augment", "Batches", "ImageDataset"]
