"""Twin of `regard.attention.cbam`, from Woo et al. 2018, eqs. 1 to 3."""

import numpy as np

from tests.reference.attention.activation import relu, sigmoid
from tests.reference.attention.convolution import convolve


def cbam(weights, x, **options):
    """x: (channel, height, width), one image."""
    w0 = weights["score_channels.0.weight"][:, :, 0, 0]
    w1 = weights["score_channels.2.weight"][:, :, 0, 0]
    kernel = weights["score_positions.weight"]
    assert kernel.shape[2:] == (options.get("kernel_size", 7),) * 2
    channels, height, width = x.shape
    average = np.array([np.mean(x[c]) for c in range(channels)])
    maximum = np.array([np.max(x[c]) for c in range(channels)])
    channel_gate = sigmoid(w1 @ relu(w0 @ average) + w1 @ relu(w0 @ maximum))
    refined = np.zeros_like(x)
    for c in range(channels):
        refined[c] = channel_gate[c] * x[c]
    pooled = np.zeros((2, height, width))
    for i in range(height):
        for j in range(width):
            pooled[:, i, j] = np.mean(refined[:, i, j]), np.max(refined[:, i, j])
    position_gate = sigmoid(convolve(pooled, kernel)[0])
    for c in range(channels):
        refined[c] = position_gate * refined[c]
    return refined
