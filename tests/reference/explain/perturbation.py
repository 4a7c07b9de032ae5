"""Twins of the perturbation methods, from their papers: loops over windows and masks, float64.

A score is a function of one image, (channel, row, col), that returns a number.
"""

import math

import numpy as np


def occlusion(score, image, fill, window, stride):
    """Zeiler & Fergus 2013, section 4.2: the fall of the score, by pixels covered.

    Windows start every `stride` until one reaches the end of the image; a pixel has the mean over
    the windows that cover it.
    """
    _, rows, cols = image.shape
    tops = starts(rows, window[0], stride[0])
    lefts = starts(cols, window[1], stride[1])
    total, count = np.zeros((rows, cols)), np.zeros((rows, cols))
    whole = score(image)
    for top in tops:
        for left in lefts:
            covered = image.copy()
            pixels = [
                (i, j)
                for i in range(rows)
                for j in range(cols)
                if top <= i < top + window[0] and left <= j < left + window[1]
            ]
            for i, j in pixels:
                covered[:, i, j] = fill[:, i, j]
            fall = whole - score(covered)
            for i, j in pixels:
                total[i, j] += fall
                count[i, j] += 1
    return total / count


def starts(side, extent, step):
    found = [0]
    while found[-1] + extent < side:
        found.append(found[-1] + step)
    return found


def blurred(image, deviation, reach):
    """A Gaussian cut off at `reach` pixels; beyond the border, the border is repeated."""
    channels, rows, cols = image.shape
    found = np.zeros_like(image)
    for c, i, j in np.ndindex(channels, rows, cols):
        total = 0.0
        for di in range(-reach, reach + 1):
            for dj in range(-reach, reach + 1):
                weight = math.exp(-(di**2 + dj**2) / (2 * deviation**2))
                row, col = min(max(i + di, 0), rows - 1), min(max(j + dj, 0), cols - 1)
                found[c, i, j] += weight * image[c, row, col]
                total += weight
        found[c, i, j] /= total
    return found


def upsampled(grid, cell, shift, size):
    """Petsiuk et al. 2018, section 3.2: a grid scaled bilinearly to one cell more, then cut.

    Args:
        grid: (row, col) of zeros and ones.
        cell: (height, width) of a cell.
        shift: how much is cut off, (top, left).
        size: of the image.

    """
    n = grid.shape[0]
    mask = np.zeros(size)
    for i in range(size[0]):
        for j in range(size[1]):
            row = source(i + shift[0], n, (n + 1) * cell[0])
            col = source(j + shift[1], n, (n + 1) * cell[1])
            for u in range(n):
                for v in range(n):
                    near = max(0.0, 1 - abs(row - u)) * max(0.0, 1 - abs(col - v))
                    mask[i, j] += near * grid[u, v]
    return mask


def source(place, small, large):
    """Where the centre of a pixel lies among the centres of the cells it was scaled from."""
    return min(max((place + 0.5) * small / large - 0.5, 0.0), small - 1.0)


def rise(score, image, fill, masks, keep, centre):
    """Petsiuk et al. 2018, equation 6; with `centre`, the mean score is taken from each first."""
    scores = [score(fill + (image - fill) * mask) for mask in masks]
    mean = sum(scores) / len(scores) if centre else 0.0
    total = np.zeros(image.shape[1:])
    for one, mask in zip(scores, masks, strict=True):
        total += (one - mean) * mask
    return total / (keep * len(masks))


def likeness(wanted, found):
    """Petsiuk, Jain et al. 2020, equations 3 to 6.

    Args:
        wanted: (box, class probabilities).
        found: a list of (box, class probabilities, objectness).

    """
    best = 0.0
    for box, classes, objectness in found:
        cosine = sum(a * b for a, b in zip(wanted[1], classes, strict=True))
        cosine /= math.sqrt(sum(a * a for a in wanted[1])) * math.sqrt(sum(b * b for b in classes))
        best = max(best, intersection_over_union(wanted[0], box) * cosine * objectness)
    return best


def intersection_over_union(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)
