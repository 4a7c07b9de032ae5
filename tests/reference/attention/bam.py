"""Twin of `regard.attention.bam`, from Park et al. 2018, eqs. 1 to 5."""

import numpy as np

from tests.reference.attention.activation import relu, sigmoid
from tests.reference.attention.convolution import batch_norm, convolve


def bam(weights, x, **options):
    """x: (channel, height, width), one image."""
    dilation = options.get("dilation", 4)

    def layer(branch, number, features, dilation=1):
        name = f"score_{branch}.{number}"
        return convolve(features, weights[f"{name}.weight"], weights[f"{name}.bias"], dilation)

    channels = x.mean(axis=(1, 2))[:, None, None]
    channels = layer("channels", 2, relu(layer("channels", 0, channels)))
    channels = batch_norm(channels, weights, "score_channels.3")

    positions = relu(layer("positions", 0, x))
    positions = relu(layer("positions", 2, positions, dilation))
    positions = relu(layer("positions", 4, positions, dilation))
    positions = batch_norm(layer("positions", 6, positions), weights, "score_positions.7")

    out = np.zeros_like(x)
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                gate = sigmoid(channels[c, 0, 0] + positions[0, i, j])
                out[c, i, j] = x[c, i, j] + x[c, i, j] * gate
    return out
