"""Twin of `regard.attention.window`, from Liu et al. 2021, eqs. 2 to 4 and fig. 2.

No padding, rolling or mask: a position's window is found from where it lies. Shifted windows are
the plain ones moved down and right by half a side; those at the top and the left are cut short.
"""

import numpy as np

from tests.reference.attention.attend import attend_in_heads, positions_of, project
from tests.reference.attention.relative_position import relative_bias


def window_of(place, length, side, shifted):
    """Return which window along one axis holds the place."""
    if shifted and length > side:
        return (place + side - side // 2) // side
    return place // side


def window(weights, x, window_size=7, shifted=False, num_heads=4, position_bias=True, **options):
    """x: (channel, height, width), one image."""
    _, height, width = x.shape
    query, key, value = (project(weights, name, x) for name in ("query", "key", "value"))
    members = {}
    for i, j in positions_of(x):
        row = window_of(i, height, window_size, shifted)
        col = window_of(j, width, window_size, shifted)
        members.setdefault((row, col), []).append((i, j))
    if position_bias:
        bias_of = relative_bias(weights["bias.table"], window_size, window_size)
    mixed = np.zeros_like(value)
    for places in members.values():
        keys = [key[:, a, b] for a, b in places]
        values = [value[:, a, b] for a, b in places]
        for here in places:
            bias = None
            if position_bias:
                bias = np.stack([bias_of(here, there) for there in places], 1)
            mixed[:, *here] = attend_in_heads(query[:, *here], keys, values, num_heads, bias)
    return project(weights, "project", mixed)
