"""Twin of `regard.attention.attention_gate`, from Oktay et al. 2018, eqs. 1 and 2."""

import numpy as np

from tests.reference.attention.activation import relu, sigmoid
from tests.reference.attention.convolution import bilinear, pointwise


def attention_gate(weights, x, context, **options):
    """x: (channel, height, width); context: the gating signal on a grid of its own."""
    channels, height, width = x.shape
    coarse_x = bilinear(x, *context.shape[1:])
    feature = pointwise(coarse_x, weights["feature.weight"])
    gating = pointwise(context, weights["gating.weight"], weights["gating.bias"])
    q = pointwise(relu(feature + gating), weights["score.weight"], weights["score.bias"])
    alpha = bilinear(sigmoid(q), height, width)[0]
    out = np.zeros_like(x)
    for c in range(channels):
        out[c] = alpha * x[c]
    return out
