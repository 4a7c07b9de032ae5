"""Mean and spread of a set's pixels, for normalisation."""

import torch

from regard.data.dataset import ImageDataset
from regard.data.image_folder import FolderDataset

Channels = tuple[float, float, float]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


def channel_statistics(dataset: ImageDataset | FolderDataset) -> tuple[Channels, Channels]:
    """Return mean and standard deviation of each RGB channel, for values in [0, 1].

    Over all pixels of a set in memory. For files, which may be many, the customary figures of
    ImageNet.
    """
    if isinstance(dataset, FolderDataset):
        return IMAGENET_MEAN, IMAGENET_STD
    # Counting bytes is exact, and needs no copy of the images as floats.
    channels = dataset.images.transpose(0, 1).flatten(1)
    counts = torch.stack([channel.bincount(minlength=256) for channel in channels]).double()
    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = counts / counts.sum(1, keepdim=True)
    mean = shares @ levels
    std = (shares @ levels.square() - mean.square()).clamp(min=1e-12).sqrt()
    return _rounded(mean), _rounded(std)


def _rounded(values: torch.Tensor) -> Channels:
    red, green, blue = (round(value, 4) for value in values.tolist())
    return red, green, blue
