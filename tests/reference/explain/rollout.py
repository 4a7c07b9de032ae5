"""Twin of attention rollout, from Abnar & Zuidema 2020, section 3: explicit products, float64."""

import numpy as np


def layer(weights, pool=None, shortcut=None, share=0.5):
    """One layer of one image: (query, token before).

    Args:
        weights: (head, query, key).
        pool: (key, token before), what each key is made of; None for the token itself.
        shortcut: (query, token before), likewise of each query.
        share: of the shortcut.

    """
    heads, n, m = weights.shape
    pool = np.eye(m) if pool is None else pool
    shortcut = np.eye(n) if shortcut is None else shortcut
    mixed = np.zeros((n, pool.shape[1]))
    for i in range(n):
        for t in range(pool.shape[1]):
            for j in range(m):
                mean = sum(weights[h, i, j] for h in range(heads)) / heads
                mixed[i, t] += (1 - share) * mean * pool[j, t]
            mixed[i, t] += share * shortcut[i, t]
        total = sum(mixed[i])
        mixed[i] = mixed[i] / total if total else 0.0
    return mixed


def rollout(layers):
    """The product of all layers, the last one leftmost: (token at the end, at the start)."""
    product = layers[0]
    for matrix in layers[1:]:
        product = matrix @ product
    return product
