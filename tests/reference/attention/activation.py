"""Activations by their formulas."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.where(x > 0, x, 0)


def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def softmax(scores):
    """Softmax over all of `scores`."""
    exponentials = np.exp(scores - np.max(scores))
    return exponentials / exponentials.sum()
