"""Twin of `regard.attention.non_local`, from Wang et al. 2018, eqs. 1 to 6 and fig. 2."""

import math

import numpy as np

from tests.reference.attention.attend import positions_of, project
from tests.reference.attention.convolution import batch_norm


def max_pool(x, side):
    """Maximum of each side×side block; the blocks at the border may be smaller."""
    height, width = math.ceil(x.shape[1] / side), math.ceil(x.shape[2] / side)
    out = np.zeros((x.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            block = x[:, i * side : (i + 1) * side, j * side : (j + 1) * side]
            out[:, i, j] = block.max(axis=(1, 2))
    return out


def non_local(weights, x, pairwise="embedded_gaussian", pool=1, **options):
    """x: (channel, height, width), one image."""
    theta = x if pairwise == "gaussian" else project(weights, "query", x)
    phi = max_pool(x if pairwise == "gaussian" else project(weights, "key", x), pool)
    g = max_pool(project(weights, "value", x), pool)
    y = np.zeros((g.shape[0], *x.shape[1:]))
    for i, j in positions_of(x):
        normaliser = 0
        for a, b in positions_of(phi):
            product = np.dot(theta[:, i, j], phi[:, a, b])
            f = product if pairwise == "dot_product" else np.exp(product)
            normaliser += 1 if pairwise == "dot_product" else f
            y[:, i, j] += f * g[:, a, b]
        y[:, i, j] /= normaliser
    wy = project(weights, "project", y)
    if options.get("batch_norm", True):
        wy = batch_norm(wy, weights, "norm")
    return wy + x
