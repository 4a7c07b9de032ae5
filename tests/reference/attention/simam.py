"""Twin of `regard.attention.simam`, from Yang et al. 2021, eqs. 5 and 6."""

import numpy as np

from tests.reference.attention.activation import sigmoid


def simam(weights, x, e_lambda=1e-4):
    """x: (channel, height, width), one image. There are no weights."""
    out = np.zeros_like(x)
    for c in range(x.shape[0]):
        mean = np.mean(x[c])
        variance = np.mean((x[c] - mean) ** 2)
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                t = x[c, i, j]
                lowest_energy = (4 * (variance + e_lambda)) / (
                    (t - mean) ** 2 + 2 * variance + 2 * e_lambda
                )
                out[c, i, j] = sigmoid(1 / lowest_energy) * t
    return out
