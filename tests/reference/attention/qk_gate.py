"""Twin of `regard.attention.qk_gate`: σ(Q·K)⊙V, position by position."""

import numpy as np

from tests.reference.attention.activation import relu, sigmoid, softmax
from tests.reference.attention.attend import positions_of, project


def qk_gate(weights, x, activation="softmax", **options):
    """x: (channel, height, width), one image."""
    query, key, value = (project(weights, name, x) for name in ("query", "key", "value"))
    scores = np.zeros(x.shape[1:])
    for i, j in positions_of(x):
        scores[i, j] = np.dot(query[:, i, j], key[:, i, j])
    gate = {"softmax": softmax, "sigmoid": sigmoid, "relu": relu}[activation](scores)
    out = np.zeros_like(value)
    for i, j in positions_of(x):
        out[:, i, j] = gate[i, j] * value[:, i, j]
    return out
