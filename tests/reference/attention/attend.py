"""Softmax attention of one query, by Vaswani et al. 2017, eq. 1."""

import math

import numpy as np

from tests.reference.attention.activation import softmax


def attend(query, keys, values, scale, bias=None):
    """query: (d,); keys and values: lists of vectors; bias: a number for each key."""
    scores = np.zeros(len(keys))
    for j, key in enumerate(keys):
        scores[j] = scale * np.dot(query, key)
        if bias is not None:
            scores[j] += bias[j]
    attention = softmax(scores)
    mixed = np.zeros_like(values[0])
    for j, value in enumerate(values):
        mixed += attention[j] * value
    return mixed


def heads_of(vector, num_heads):
    """Cut a vector into equal pieces, one a head."""
    width = len(vector) // num_heads
    return [vector[h * width : (h + 1) * width] for h in range(num_heads)]


def attend_in_heads(query, keys, values, num_heads, bias=None):
    """Scaled dot-product attention, each head by itself. bias: (head, key)."""
    mixed = []
    for h in range(num_heads):
        q = heads_of(query, num_heads)[h]
        k = [heads_of(key, num_heads)[h] for key in keys]
        v = [heads_of(value, num_heads)[h] for value in values]
        mixed.append(attend(q, k, v, 1 / math.sqrt(len(q)), None if bias is None else bias[h]))
    return np.concatenate(mixed)


def positions_of(x):
    """Return the (row, col) of every position of a map, in reading order."""
    return [(i, j) for i in range(x.shape[1]) for j in range(x.shape[2])]


def project(weights, name, x):
    """1×1 convolution called `name` in the state dict. x: (channel, height, width)."""
    weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias", 0)
    out = np.zeros((weight.shape[0], *x.shape[1:]))
    for i, j in positions_of(x):
        out[:, i, j] = weight[:, :, 0, 0] @ x[:, i, j] + bias
    return out


def dense(weights, name, vector):
    """Linear layer called `name` in the state dict."""
    return weights[f"{name}.weight"] @ vector + weights.get(f"{name}.bias", 0)
