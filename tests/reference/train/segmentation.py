"""Twins of segmentation's losses and metrics, from their papers, one pixel after the other."""

import math

VOID = 255


def softmax(scores):
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    return [power / sum(powers) for power in powers]


def pixels(logits, truth):
    """Yield (probabilities, class) of every pixel that has one; logits[b][c][y][x]."""
    for image, mask in zip(logits, truth, strict=True):
        for y, row in enumerate(mask):
            for x, label in enumerate(row):
                if label != VOID:
                    yield softmax([plane[y][x] for plane in image]), label


def cross_entropy(logits, truth, weights):
    return focal(logits, truth, weights, gamma=0)


def focal(logits, truth, weights, gamma):
    """Lin et al. 2017, eq. 5: −α (1 − p)^γ log p, averaged with the weights α."""
    total = weight = 0.0
    for p, label in pixels(logits, truth):
        total += weights[label] * (1 - p[label]) ** gamma * -math.log(p[label])
        weight += weights[label]
    return total / weight if weight else 0.0


def dice(logits, truth, weights):
    """Milletari et al. 2016: D = 2 Σ p g / (Σ p² + Σ g²), of each class that occurs."""
    classes = len(logits[0])
    total = weight = 0.0
    for c in range(classes):
        both = predicted = true = 0.0
        for p, label in pixels(logits, truth):
            g = 1.0 if label == c else 0.0
            both += p[c] * g
            predicted += p[c] ** 2
            true += g**2
        if true:
            total += weights[c] * (1 - 2 * both / (predicted + true))
            weight += weights[c]
    return total / weight if weight else 0.0


def generalised_dice(logits, truth, weights):
    """Sudre et al. 2017: 1 − 2 Σ w Σ r p / Σ w Σ (r + p), with w = 1 / (Σ r)²."""
    above = below = 0.0
    for c in range(len(logits[0])):
        both = either = count = 0.0
        for p, label in pixels(logits, truth):
            r = 1.0 if label == c else 0.0
            both += r * p[c]
            either += r + p[c]
            count += r
        if count:
            above += weights[c] / count**2 * both
            below += weights[c] / count**2 * either
    return 1 - 2 * above / below if below else 0.0


def median_frequency_weights(masks, classes):
    """Eigen and Fergus 2015: median frequency over frequency, among the images with the class."""
    frequencies = {}
    for c in range(classes):
        own = among = 0
        for mask in masks:
            labels = [label for row in mask for label in row if label != VOID]
            if c in labels:
                own += labels.count(c)
                among += len(labels)
        if own:
            frequencies[c] = own / among
    ordered = sorted(frequencies.values())
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return [median / frequencies[c] if c in frequencies else 1.0 for c in range(classes)]


def iou(predicted, truth, c):
    """|A ∩ B| / |A ∪ B| of one class over several images, as sets; None where both are empty."""
    a, b = set(), set()
    for number, (guess, mask) in enumerate(zip(predicted, truth, strict=True)):
        for y, row in enumerate(mask):
            for x, label in enumerate(row):
                if label == VOID:
                    continue
                if guess[y][x] == c:
                    a.add((number, y, x))
                if label == c:
                    b.add((number, y, x))
    return len(a & b) / len(a | b) if a | b else None


def mean_iou(predicted, truth, classes):
    each = [iou(predicted, truth, c) for c in range(classes)]
    each = [value for value in each if value is not None]
    return sum(each) / len(each)


def boundary_f1(predicted, truth, c, tolerance):
    """Csurka et al. 2013, section 3, with distances from every pixel to every pixel."""
    height, width = len(truth), len(truth[0])
    reach = tolerance * math.sqrt(height**2 + width**2)
    hidden = [
        [VOID if truth[y][x] == VOID else predicted[y][x] for x in range(width)]
        for y in range(height)
    ]

    def boundary(mask):
        found = []
        for y in range(height):
            for x in range(width):
                beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                beside = [mask[v][u] for v, u in beside if 0 <= v < height and 0 <= u < width]
                if mask[y][x] == c and any(other not in (c, VOID) for other in beside):
                    found.append((y, x))
        return found

    ours, theirs = boundary(hidden), boundary(truth)
    if not ours and not theirs:
        return None

    def near(points, others):
        close = [p for p in points if any(math.dist(p, q) <= reach for q in others)]
        return len(close) / len(points) if points else 0.0

    precision, recall = near(ours, theirs), near(theirs, ours)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
