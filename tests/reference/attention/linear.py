"""Twin of `regard.attention.linear`, as the quadratic sums that the linear form stands for.

Katharopoulos et al. 2020, eqs. 3, 4 and 7; Shen et al. 2018, eq. 6.
"""

import numpy as np

from tests.reference.attention.activation import softmax
from tests.reference.attention.attend import heads_of, positions_of, project


def elu_plus_one(vector):
    return np.where(vector > 0, vector + 1, np.exp(np.minimum(vector, 0)))


def weights_of(queries, keys, feature_map):
    """Attention weights (query, key) of one head, from lists of vectors."""
    if feature_map == "softmax":
        phi_q = [softmax(q) for q in queries]
        phi_k = np.stack([softmax(feature) for feature in np.stack(keys).T], axis=1)
    else:
        phi_q = [elu_plus_one(q) for q in queries]
        phi_k = [elu_plus_one(k) for k in keys]
    similarity = np.zeros((len(queries), len(keys)))
    for i, q in enumerate(phi_q):
        for j, k in enumerate(phi_k):
            similarity[i, j] = np.dot(q, k)
    if feature_map == "softmax":
        return similarity
    return similarity / similarity.sum(axis=1, keepdims=True)


def linear(weights, x, num_heads=4, feature_map="elu", **options):
    """x: (channel, height, width), one image."""
    query, key, value = (project(weights, name, x) for name in ("query", "key", "value"))
    places = positions_of(x)
    width = x.shape[0] // num_heads
    mixed = np.zeros_like(value)
    for h in range(num_heads):
        queries = [heads_of(query[:, i, j], num_heads)[h] for i, j in places]
        keys = [heads_of(key[:, i, j], num_heads)[h] for i, j in places]
        values = [heads_of(value[:, i, j], num_heads)[h] for i, j in places]
        attention = weights_of(queries, keys, feature_map)
        for p, (i, j) in enumerate(places):
            for q in range(len(places)):
                mixed[h * width : (h + 1) * width, i, j] += attention[p, q] * values[q]
    return project(weights, "project", mixed)
