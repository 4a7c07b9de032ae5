"""Twin of `regard.attention.coordinate`, from Hou et al. 2021, eqs. 4 to 9."""

import numpy as np

from tests.reference.attention.activation import hard_swish, sigmoid
from tests.reference.attention.convolution import batch_norm, pointwise


def coordinate(weights, x, **options):
    """x: (channel, height, width), one image."""
    channels, height, width = x.shape

    def mix(means):
        mixed = pointwise(means[:, :, None], weights["mix.0.weight"], weights["mix.0.bias"])
        return hard_swish(batch_norm(mixed, weights, "mix.1"))

    def score(name, mixed):
        return pointwise(mixed, weights[f"{name}.weight"], weights[f"{name}.bias"])[:, :, 0]

    of_rows = np.zeros((channels, height))
    for i in range(height):
        of_rows[:, i] = x[:, i, :].mean(axis=1)
    of_cols = np.zeros((channels, width))
    for j in range(width):
        of_cols[:, j] = x[:, :, j].mean(axis=1)
    row_gate = sigmoid(score("score_rows", mix(of_rows)))
    col_gate = sigmoid(score("score_cols", mix(of_cols)))

    out = np.zeros_like(x)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                out[c, i, j] = x[c, i, j] * row_gate[c, i] * col_gate[c, j]
    return out
