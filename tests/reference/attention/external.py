"""Twin of `regard.attention.external`, from Guo et al. 2021, eqs. 5 to 9."""

import numpy as np

from tests.reference.attention.activation import softmax
from tests.reference.attention.attend import heads_of, positions_of, project


def external(weights, x, num_heads=1, **options):
    """x: (channel, height, width), one image."""
    query = project(weights, "query", x)
    memory_keys, memory_values = weights["keys.weight"], weights["values.weight"].T
    units, width = memory_keys.shape
    places = positions_of(x)
    mixed = np.zeros_like(query)
    for h in range(num_heads):
        features = [heads_of(query[:, i, j], num_heads)[h] for i, j in places]
        attention = np.zeros((len(places), units))
        for s in range(units):
            attention[:, s] = softmax([np.dot(f, memory_keys[s]) for f in features])
        for p, (i, j) in enumerate(places):
            attention[p] /= attention[p].sum()
            for s in range(units):
                mixed[h * width : (h + 1) * width, i, j] += attention[p, s] * memory_values[s]
    return project(weights, "project", mixed)
