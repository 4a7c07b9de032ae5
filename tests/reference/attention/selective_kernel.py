"""Twin of `regard.attention.selective_kernel`, from Li et al. 2019, eqs. 1 to 6."""

import math

import numpy as np

from tests.reference.attention.activation import relu, softmax
from tests.reference.attention.convolution import batch_norm, convolve


def selective_kernel(weights, x, kernel_sizes=(3, 5), groups=None, **options):
    """x: (channel, height, width), one image."""
    channels = x.shape[0]
    groups = groups or math.gcd(32, channels)
    paths = []
    for number, size in enumerate(kernel_sizes):
        # A dilated 3×3 kernel is a `size`×`size` kernel that is zero but at nine places.
        kernel = np.zeros((channels, channels // groups, size, size))
        kernel[:, :, :: size // 2, :: size // 2] = weights[f"paths.{number}.0.weight"]
        path = convolve(x, kernel, groups=groups)
        paths.append(relu(batch_norm(path, weights, f"paths.{number}.1")))

    fused = sum(paths)
    s = fused.mean(axis=(1, 2))[:, None, None]
    z = relu(batch_norm(convolve(s, weights["squeeze.0.weight"]), weights, "squeeze.1"))
    scores = convolve(z, weights["choose.weight"])[:, 0, 0].reshape(channels, len(paths))

    out = np.zeros_like(x)
    for c in range(channels):
        for weight, path in zip(softmax(scores[c]), paths, strict=True):
            out[c] += weight * path[c]
    return out
