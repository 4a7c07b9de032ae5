"""Twin of `regard.attention.dot_product`, from Luong et al. 2015, eqs. 7 and 8 ("dot")."""

import numpy as np

from tests.reference.attention.attend import attend, positions_of, project


def dot_product(weights, x, **options):
    """x: (channel, height, width), one image."""
    query, key, value = (project(weights, name, x) for name in ("query", "key", "value"))
    keys = [key[:, a, b] for a, b in positions_of(x)]
    values = [value[:, a, b] for a, b in positions_of(x)]
    mixed = np.zeros_like(value)
    for i, j in positions_of(x):
        mixed[:, i, j] = attend(query[:, i, j], keys, values, scale=1)
    return project(weights, "project", mixed)
