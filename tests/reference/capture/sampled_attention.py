"""Deformable attention in plain loops, float64 (Zhu et al. 2021, arXiv 2010.04159, equation 3)."""

from math import floor

import numpy as np


def weights(sizes, locations, strengths):
    """Return the weight of every cell of every map: (query, key).

    Args:
        sizes: (rows, cols) of each map; their cells are the keys, one map after the other.
        locations: (query, level, point, 2), (x, y) as fractions of the map's width and height.
        strengths: (query, level, point), what each sample is weighed with.

    """
    starts = np.cumsum([0, *(rows * cols for rows, cols in sizes)])
    result = np.zeros((len(locations), starts[-1]))
    for query, levels in enumerate(locations):
        for level, points in enumerate(levels):
            rows, cols = sizes[level]
            for point, (x, y) in enumerate(points):
                # The centre of the cell in row 0 is half a cell from the edge.
                row, col = y * rows - 0.5, x * cols - 0.5
                for near_row in (floor(row), floor(row) + 1):
                    for near_col in (floor(col), floor(col) + 1):
                        share = (1 - abs(row - near_row)) * (1 - abs(col - near_col))
                        if 0 <= near_row < rows and 0 <= near_col < cols:
                            key = starts[level] + near_row * cols + near_col
                            result[query, key] += share * strengths[query, level, point]
    return result
