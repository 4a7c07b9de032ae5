"""Twin of `regard.attention.multi_head`: Vaswani et al. 2017, sec. 3.2.2, with Swin's bias."""

import numpy as np

from tests.reference.attention.attend import attend_in_heads, positions_of, project
from tests.reference.attention.relative_position import relative_bias


def multi_head(weights, x, num_heads=4, position_bias=True, **options):
    """x: (channel, height, width), one image."""
    query, key, value = (project(weights, name, x) for name in ("query", "key", "value"))
    places = positions_of(x)
    keys = [key[:, a, b] for a, b in places]
    values = [value[:, a, b] for a, b in places]
    bias_of = relative_bias(weights["bias.table"], *x.shape[1:]) if position_bias else None
    mixed = np.zeros_like(value)
    for i, j in places:
        bias = np.stack([bias_of((i, j), p) for p in places], 1) if position_bias else None
        mixed[:, i, j] = attend_in_heads(query[:, i, j], keys, values, num_heads, bias)
    return project(weights, "project", mixed)
