"""Twin of `regard.attention.scaled_dot_product`, from Vaswani et al. 2017, eq. 1."""

import math

import numpy as np

from tests.reference.attention.convolution import pointwise


def scaled_dot_product(weights, x, **options):
    """x: (channel, height, width), one image. Loops over positions; float64."""
    query = pointwise(x, weights["query.weight"], weights["query.bias"])
    key = pointwise(x, weights["key.weight"])
    value = pointwise(x, weights["value.weight"], weights["value.bias"])
    d, height, width = query.shape
    mixed = np.zeros_like(value)
    for i in range(height):
        for j in range(width):
            scores = np.zeros((height, width))
            for a in range(height):
                for b in range(width):
                    scores[a, b] = np.dot(query[:, i, j], key[:, a, b]) / math.sqrt(d)
            attention = np.exp(scores - scores.max())
            attention /= attention.sum()
            for a in range(height):
                for b in range(width):
                    mixed[:, i, j] += attention[a, b] * value[:, a, b]
    return pointwise(mixed, weights["project.weight"], weights["project.bias"])
