"""Twin of `regard.attention.squeeze_excite`, from Hu et al. 2018, eqs. 2 to 4."""

import numpy as np

from tests.reference.attention.activation import relu, sigmoid


def squeeze_excite(weights, x, **options):
    """x: (channel, height, width), one image."""
    w1, w2 = weights["excite.0.weight"][:, :, 0, 0], weights["excite.2.weight"][:, :, 0, 0]
    b1, b2 = 0, 0
    if options.get("bias", False):
        b1, b2 = weights["excite.0.bias"], weights["excite.2.bias"]
    channels, height, width = x.shape
    z = np.zeros(channels)
    for i in range(height):
        for j in range(width):
            z += x[:, i, j] / (height * width)
    s = sigmoid(w2 @ relu(w1 @ z + b1) + b2)
    out = np.zeros_like(x)
    for c in range(channels):
        out[c] = s[c] * x[c]
    return out
