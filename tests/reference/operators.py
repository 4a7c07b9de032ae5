"""Twins of what operators tell, in float64 and plain loops, from their definitions."""

import math

import numpy as np


def linear(query, key, normaliser, scale):
    """Row i, column j: scale · φ(q_i)·φ(k_j) / n_i (Katharopoulos et al. 2020, eq. 4)."""
    batch, heads, n, d = query.shape
    m = key.shape[2]
    result = np.zeros((batch, heads, n, m))
    for b, h, i, j in np.ndindex(batch, heads, n, m):
        product = sum(query[b, h, i, c] * key[b, h, j, c] for c in range(d))
        result[b, h, i, j] = scale * product / normaliser[b, h, i, 0]
    return result


def entropy(weights):
    """−Σ_j p_j log p_j of each row, in nats; NaN for a row of zeros."""
    result = np.zeros(weights.shape[:-1])
    for at in np.ndindex(*result.shape):
        total = sum(weights[at])
        if total == 0:
            result[at] = math.nan
            continue
        for weight in weights[at]:
            share = weight / total
            result[at] -= share * math.log(share) if share > 0 else 0.0
    return result


def mean_distance(weights, query_boxes, key_boxes):
    """Σ_j p_j |x_i − x_j| over keys with a box; boxes are xyxy or None, by group and token.

    Args:
        weights: (batch, heads, query, key), groups running fastest in the batch.
        query_boxes: a list for each group.
        key_boxes: likewise.

    """
    result = np.zeros(weights.shape[:-1])
    for b, h, i in np.ndindex(*result.shape):
        group = b % len(query_boxes)
        mine, total, seen = query_boxes[group][i], 0.0, 0.0
        for j, theirs in enumerate(key_boxes[group]):
            if mine is None or theirs is None:
                continue
            across = (mine[0] + mine[2] - theirs[0] - theirs[2]) / 2
            down = (mine[1] + mine[3] - theirs[1] - theirs[3]) / 2
            total += weights[b, h, i, j] * math.hypot(across, down)
            seen += weights[b, h, i, j]
        result[b, h, i] = total / seen if seen else math.nan
    return result


def windows(weights, query_places, key_places, query_cells, key_cells):
    """The attention of a cell: the mean over its queries, the sum over each cell's keys.

    Args:
        weights: (images × groups, heads, query, key).
        query_places: (group, query), the cell of each, −1 for none.
        key_places: (group, key), likewise.
        query_cells: how many cells the queries' lattice has.
        key_cells: likewise of the keys.

    """
    batch, heads, n, m = weights.shape
    groups = len(query_places)
    result = np.zeros((batch // groups, heads, query_cells, key_cells))
    asking = np.zeros(query_cells)
    for g, i in np.ndindex(groups, n):
        if query_places[g, i] >= 0:
            asking[query_places[g, i]] += 1
    for b, h, i, j in np.ndindex(batch, heads, n, m):
        image, g = divmod(b, groups)
        row, column = query_places[g, i], key_places[g, j]
        if row >= 0 and column >= 0:
            result[image, h, row, column] += weights[b, h, i, j] / asking[row]
    return result


def area_resampling(size, other):
    """(cells of `size`, cells of `other`): how much of each cell's area lies in each other cell.

    Both lie on the unit square; the area is counted on a raster finer than both.
    """
    fine = [math.lcm(a, b) for a, b in zip(size, other, strict=True)]
    result = np.zeros((math.prod(size), math.prod(other)))
    for y, x in np.ndindex(*fine):
        row = (y * size[0] // fine[0]) * size[1] + x * size[1] // fine[1]
        column = (y * other[0] // fine[0]) * other[1] + x * other[1] // fine[1]
        result[row, column] += 1
    return result / result.sum(1, keepdims=True)
