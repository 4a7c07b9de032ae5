"""Twin of `regard.attention.eca`, from Wang et al. 2020, eqs. 9 and 12."""

import math

import numpy as np

from tests.reference.attention.activation import sigmoid


def eca(weights, x, kernel_size=None, gamma=2, b=1):
    """x: (channel, height, width), one image."""
    channels = x.shape[0]
    if kernel_size is None:
        wanted = abs(math.log2(channels) / gamma + b / gamma)
        # The nearest odd number; of two equally near, the larger.
        kernel_size = min(range(1, 100, 2), key=lambda odd: (abs(odd - wanted), -odd))
    w = weights["slide.weight"][0, 0]
    assert len(w) == kernel_size
    y = x.mean(axis=(1, 2))
    out = np.zeros_like(x)
    for c in range(channels):
        score = 0
        for j in range(kernel_size):
            neighbour = c + j - kernel_size // 2
            if 0 <= neighbour < channels:
                score += w[j] * y[neighbour]
        out[c] = sigmoid(score) * x[c]
    return out
