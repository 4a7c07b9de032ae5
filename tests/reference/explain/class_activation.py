"""Twins of the class activation maps, each from its paper's equations: one image, float64, loops.

Features and gradients are (channel, row, col).
"""

import numpy as np


def relu(x):
    return np.where(x > 0, x, 0.0)


def weighted(features, weights):
    """ReLU of the weighted sum of the channels; weights (channel) or (channel, row, col)."""
    channels, rows, cols = features.shape
    result = np.zeros((rows, cols))
    for i in range(rows):
        for j in range(cols):
            for k in range(channels):
                weight = weights[k] if weights.ndim == 1 else weights[k, i, j]
                result[i, j] += weight * features[k, i, j]
    return relu(result)


def cells(array):
    return [(i, j) for i in range(array.shape[-2]) for j in range(array.shape[-1])]


def grad_cam(features, gradient):
    """Selvaraju et al. 2017, equations 1 and 2."""
    z = features.shape[1] * features.shape[2]
    weights = [sum(g[i, j] for i, j in cells(g)) / z for g in gradient]
    return weighted(features, np.array(weights))


def grad_cam_plus_plus(features, first, second, third):
    """Chattopadhay et al. 2018, equations 5 and 10, of the derivatives of Y = exp(S) themselves."""
    weights = np.zeros(len(features))
    for k, channel in enumerate(features):
        total = sum(channel[a, b] for a, b in cells(channel))
        for i, j in cells(channel):
            if second[k, i, j] == 0:
                continue
            alpha = second[k, i, j] / (2 * second[k, i, j] + total * third[k, i, j])
            weights[k] += alpha * relu(first[k, i, j])
    return weighted(features, weights)


def x_grad_cam(features, gradient):
    """Fu et al. 2020: gradients averaged with the features as weights."""
    weights = np.zeros(len(features))
    for k, channel in enumerate(features):
        total = sum(channel[i, j] for i, j in cells(channel))
        for i, j in cells(channel):
            if total != 0:
                weights[k] += channel[i, j] / total * gradient[k, i, j]
    return weighted(features, weights)


def hires_cam(features, gradient):
    """Draelos & Carin 2020: the sum over channels of gradient times feature."""
    result = np.zeros(features.shape[1:])
    for i, j in cells(features):
        for k in range(len(features)):
            result[i, j] += gradient[k, i, j] * features[k, i, j]
    return result


def layer_cam(features, gradient):
    """Jiang et al. 2021: each feature weighs by its own positive gradient."""
    return weighted(features, relu(gradient))


def eigen_cam(features, centred=False):
    """Muhammad & Yeasin 2020: O V₁; V's columns are the eigenvectors of Oᵀ O."""
    matrix = np.array([[channel[i, j] for channel in features] for i, j in cells(features)])
    if centred:
        matrix = matrix - matrix.mean(0)
    _values, vectors = np.linalg.eigh(matrix.T @ matrix)
    along = matrix @ vectors[:, -1]
    agreement = sum(a * row.mean() for a, row in zip(along, matrix, strict=True))
    return (along if agreement >= 0 else -along).reshape(features.shape[1:])


def bilinear(small, height, width):
    """Interpolate between the centres of the cells; beyond the outermost, repeat them."""
    rows, cols = small.shape
    large = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            row = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
            col = min(max((x + 0.5) * cols / width - 0.5, 0), cols - 1)
            top, left = int(row), int(col)
            down, right = min(top + 1, rows - 1), min(left + 1, cols - 1)
            v, u = row - top, col - left
            large[y, x] = (1 - v) * ((1 - u) * small[top, left] + u * small[top, right]) + v * (
                (1 - u) * small[down, left] + u * small[down, right]
            )
    return large


def score_cam(features, image, score):
    """Wang et al. 2020, algorithm 1; score: (channel, height, width) → number."""
    gains = []
    for channel in features:
        mask = np.zeros(image.shape[1:])
        if channel.max() > channel.min():
            large = bilinear(channel, *image.shape[1:])
            mask = (large - large.min()) / (large.max() - large.min())
        gains.append(score(image * mask) - score(0 * image))
    weights = np.exp(gains) / sum(np.exp(gain) for gain in gains)
    return weighted(features, weights)


def ablation_cam(features, score):
    """Desai & Ramaswamy 2020, with |y|; score: features → number."""
    whole = score(features)
    weights = np.zeros(len(features))
    for k in range(len(features)):
        without = features.copy()
        without[k] = 0
        weights[k] = (whole - score(without)) / abs(whole)
    return weighted(features, weights)


def finer_cam(features, gradients, scores, target, alpha, references):
    """Zhang et al. 2025, equations 5 and 8; gradients: (class, channel, row, col)."""
    others = [c for c in range(len(scores)) if c != target]
    closest = sorted(others, key=lambda c: abs(scores[c] - scores[target]))[:references]
    weights = np.zeros(len(features))
    for d in closest:
        for k in range(len(features)):
            difference = gradients[target, k] - alpha * gradients[d, k]
            weights[k] += difference.mean() / len(closest)
    return weighted(features, weights)
