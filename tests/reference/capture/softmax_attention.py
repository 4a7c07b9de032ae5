"""Twin of softmax attention, from Vaswani et al. 2017, eq. 1, with masks; float64, plain loops."""

import math

import numpy as np


def weights(query, key, scale, allowed=None, bias=None):
    """query: (batch, head, n, d); key: (batch, head, m, d); allowed, bias: (batch, head, n, m)."""
    batch, heads, n, d = query.shape
    m = key.shape[2]
    result = np.zeros((batch, heads, n, m))
    for b in range(batch):
        for h in range(heads):
            for i in range(n):
                exponentials = []
                for j in range(m):
                    score = scale * sum(query[b, h, i, c] * key[b, h, j, c] for c in range(d))
                    if bias is not None:
                        score += bias[b, h, i, j]
                    seen = allowed is None or allowed[b, h, i, j]
                    exponentials.append(math.exp(score) if seen else 0.0)
                total = sum(exponentials)
                for j in range(m):
                    result[b, h, i, j] = exponentials[j] / total if total else 0.0
    return result


def attend(weights, value):
    """weights: (batch, head, n, m); value: (batch, head, m, d)."""
    batch, heads, n, m = weights.shape
    d = value.shape[3]
    result = np.zeros((batch, heads, n, d))
    for b in range(batch):
        for h in range(heads):
            for i in range(n):
                for j in range(m):
                    for c in range(d):
                        result[b, h, i, c] += weights[b, h, i, j] * value[b, h, j, c]
    return result
