"""Twin of `regard.attention.triplet`, from Misra et al. 2020, eqs. 1 to 4."""

import numpy as np

from tests.reference.attention.activation import sigmoid
from tests.reference.attention.convolution import batch_norm, convolve


def triplet(weights, x, kernel_size=7, spatial=True):
    """x: (channel, height, width), one image. Rotates the map forth and back, as the paper."""

    def branch(name, rotated):
        kernel = weights[f"{name}.0.weight"]
        assert kernel.shape[2:] == (kernel_size, kernel_size)
        pooled = np.stack([np.max(rotated, axis=0), np.mean(rotated, axis=0)])
        gate = sigmoid(batch_norm(convolve(pooled, kernel), weights, f"{name}.1"))[0]
        return np.stack([plane * gate for plane in rotated])

    branches = [
        # (channel, height, width) -> (height, channel, width) and back
        branch("pooling_height", x.transpose(1, 0, 2)).transpose(1, 0, 2),
        # (channel, height, width) -> (width, height, channel) and back
        branch("pooling_width", x.transpose(2, 1, 0)).transpose(2, 1, 0),
    ]
    if spatial:
        branches.append(branch("pooling_channels", x))
    return sum(branches) / len(branches)
