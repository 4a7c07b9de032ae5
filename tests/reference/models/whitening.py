"""Twin of the whitening filters: what they are for, patch by patch, without an eigenvector.

Filters W = diag(λ + ε)^(−1/2) Vᵀ of the covariance C = V diag(λ) Vᵀ are told by two equations, up
to their signs: Wᵀ W = (C + ε)^(−1), and W C Wᵀ is diagonal.
"""

import numpy as np


def covariance(images):
    """images: (image, 3, height, width). Return the mean of p pᵀ over all patches p of 2×2."""
    total, count = np.zeros((12, 12)), 0
    for image in np.asarray(images, dtype=np.float64):
        for row in range(image.shape[1] - 1):
            for col in range(image.shape[2] - 1):
                patch = [
                    image[channel, row + down, col + right]
                    for channel in range(3)
                    for down in (0, 1)
                    for right in (0, 1)
                ]
                for i in range(12):
                    for j in range(12):
                        total[i, j] += patch[i] * patch[j]
                count += 1
    return total / count


def inverse(matrix):
    """Gauss and Jordan's elimination, pivot by pivot."""
    size = len(matrix)
    rows = [[*map(float, row), *(float(i == j) for j in range(size))]
            for i, row in enumerate(matrix)]  # fmt: skip
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(size):
            if row != column:
                factor = rows[row][column]
                rows[row] = [
                    value - factor * other
                    for value, other in zip(rows[row], rows[column], strict=True)
                ]
    return np.array([row[size:] for row in rows])
