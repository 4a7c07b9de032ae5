"""Twin of `regard.attention.axial`: Ho et al. 2019, sec. 3.1, rows and then columns."""

import numpy as np

from tests.reference.attention.attend import attend_in_heads, positions_of, project
from tests.reference.attention.relative_position import relative_bias


def attend_along(weights, name, x, same_line, place_in_line, length, num_heads, position_bias):
    """Each position attends to those for which `same_line` holds."""
    query, key, value = (
        project(weights, f"{name}.{part}", x) for part in ("query", "key", "value")
    )
    if position_bias:
        bias_of = relative_bias(weights[f"{name}.bias.table"], 1, length)
    mixed = np.zeros_like(value)
    for here in positions_of(x):
        line = [there for there in positions_of(x) if same_line(here, there)]
        bias = None
        if position_bias:
            place = (0, place_in_line(here))
            bias = np.stack([bias_of(place, (0, place_in_line(there))) for there in line], 1)
        keys = [key[:, a, b] for a, b in line]
        values = [value[:, a, b] for a, b in line]
        mixed[:, *here] = attend_in_heads(query[:, *here], keys, values, num_heads, bias)
    return project(weights, f"{name}.project", mixed)


def axial(weights, x, num_heads=4, position_bias=True, **options):
    """x: (channel, height, width), one image."""
    _, height, width = x.shape
    x = attend_along(
        weights,
        "rows",
        x,
        lambda p, q: p[0] == q[0],
        lambda p: p[1],
        width,
        num_heads,
        position_bias,
    )
    return attend_along(
        weights,
        "columns",
        x,
        lambda p, q: p[1] == q[1],
        lambda p: p[0],
        height,
        num_heads,
        position_bias,
    )
