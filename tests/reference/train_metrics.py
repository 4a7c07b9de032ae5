"""Twins of the classifier's metrics, from their papers, in plain Python."""

import math


def wilson_interval(correct, total, z):
    """Solve (p − q)² = z² q (1 − q) / n for q: the score interval's own definition."""
    p = correct / total

    def score(q):
        return (p - q) ** 2 - z * z * q * (1 - q) / total

    def root(inside, outside):
        for _ in range(200):
            middle = (inside + outside) / 2
            if score(middle) <= 0:
                inside = middle
            else:
                outside = middle
        return (inside + outside) / 2

    return root(p, 0.0), root(p, 1.0)


def calibration_error(probabilities, labels, bins):
    """Guo et al. 2017, eq. 3, one image after the other."""
    members = [[] for _ in range(bins)]
    for row, label in zip(probabilities, labels, strict=True):
        confidence = max(row)
        predicted = row.index(confidence)
        for number in range(bins):
            if number / bins < confidence <= (number + 1) / bins:
                members[number].append((confidence, predicted == label))
    total = 0.0
    for inside in members:
        if inside:
            accuracy = sum(right for _, right in inside) / len(inside)
            confidence = sum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


def learning_rate(step, steps, peak, warmup):
    """Linear to the peak over the first share of the steps, then half a cosine to zero."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def linear_learning_rate(step, steps, peak, warmup):
    """Two straight lines: to the peak over the first share of the steps, and to zero."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (steps - step) / (steps - rising)


def moving_average(values, decay):
    """Average of scalars, one update each, with the decay growing as (1 + t) / (10 + t)."""
    average = values[0]
    for step, value in enumerate(values[1:]):
        keep = min(decay, (1 + step) / (10 + step))
        average = keep * average + (1 - keep) * value
    return average
