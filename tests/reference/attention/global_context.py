"""Twin of `regard.attention.global_context`, from Cao et al. 2019, eq. 5."""

import numpy as np

from tests.reference.attention.activation import relu, sigmoid, softmax


def global_context(weights, x, **options):
    """x: (channel, height, width), one image."""
    channels, height, width = x.shape
    positions = [x[:, i, j] for i in range(height) for j in range(width)]
    attention = softmax([weights["query"] @ position for position in positions])
    context = np.zeros(channels)
    for weight, position in zip(attention, positions, strict=True):
        context += weight * position

    hidden = weights["transform.0.weight"] @ context + weights["transform.0.bias"]
    hidden = (hidden - np.mean(hidden)) / np.sqrt(np.var(hidden) + 1e-5)
    hidden = relu(weights["transform.1.weight"] * hidden + weights["transform.1.bias"])
    context = weights["transform.3.weight"] @ hidden + weights["transform.3.bias"]

    out = np.zeros_like(x)
    for i in range(height):
        for j in range(width):
            if options.get("fusion", "add") == "add":
                out[:, i, j] = x[:, i, j] + context
            else:
                out[:, i, j] = x[:, i, j] * sigmoid(context)
    return out
