"""Convolutions, and what stands beside them, by the definition: loops over positions, float64."""

import numpy as np


def pointwise(x, weight, bias=None):
    """1×1 convolution. x: (channel, height, width); weight: (out, channel, 1, 1)."""
    _, height, width = x.shape
    out = np.zeros((weight.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            out[:, i, j] = weight[:, :, 0, 0] @ x[:, i, j]
            if bias is not None:
                out[:, i, j] += bias
    return out


def convolve(x, weight, bias=None, dilation=1, groups=1):
    """Convolution with an odd kernel, zeros outside, that keeps the size.

    x: (channel, height, width); weight: (out, channel / groups, rows, cols).
    """
    _, height, width = x.shape
    outs, ins, rows, cols = weight.shape
    out = np.zeros((outs, height, width))
    for o in range(outs):
        first = o // (outs // groups) * ins
        for i in range(height):
            for j in range(width):
                for a in range(rows):
                    for b in range(cols):
                        row = i + (a - rows // 2) * dilation
                        col = j + (b - cols // 2) * dilation
                        if 0 <= row < height and 0 <= col < width:
                            seen = x[first : first + ins, row, col]
                            out[o, i, j] += weight[o, :, a, b] @ seen
        if bias is not None:
            out[o] += bias[o]
    return out


def batch_norm(x, weights, name, eps=1e-5):
    """Batch normalisation with stored statistics. x: (channel, height, width)."""
    out = np.zeros_like(x)
    for c in range(x.shape[0]):
        deviation = np.sqrt(weights[f"{name}.running_var"][c] + eps)
        standard = (x[c] - weights[f"{name}.running_mean"][c]) / deviation
        out[c] = weights[f"{name}.weight"][c] * standard + weights[f"{name}.bias"][c]
    return out


def bilinear(x, height, width):
    """Interpolate onto a grid between the cells' centres; beyond the outermost it stays constant.

    x: (channel, …).
    """
    out = np.zeros((x.shape[0], height, width))
    for i in range(height):
        row = min(max((i + 0.5) * x.shape[1] / height - 0.5, 0), x.shape[1] - 1)
        for j in range(width):
            col = min(max((j + 0.5) * x.shape[2] / width - 0.5, 0), x.shape[2] - 1)
            for a in range(x.shape[1]):
                for b in range(x.shape[2]):
                    share = max(0, 1 - abs(row - a)) * max(0, 1 - abs(col - b))
                    out[:, i, j] += share * x[:, a, b]
    return out
