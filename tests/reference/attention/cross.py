"""Twin of `regard.attention.cross`: Vaswani et al. 2017, sec. 3.2.3."""

import numpy as np

from tests.reference.attention.attend import attend_in_heads, dense, positions_of, project


def cross(weights, x, context, num_heads=4, **options):
    """x: (channel, height, width), one image; context: (channel, height, width)."""
    query = project(weights, "query", x)
    keys = [dense(weights, "key", context[:, a, b]) for a, b in positions_of(context)]
    values = [dense(weights, "value", context[:, a, b]) for a, b in positions_of(context)]
    mixed = np.zeros_like(query)
    for i, j in positions_of(x):
        mixed[:, i, j] = attend_in_heads(query[:, i, j], keys, values, num_heads)
    return project(weights, "project", mixed)
