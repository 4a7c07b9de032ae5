"""Twins of what is asked of a region: loops over pixels, from the papers' equations, in float64."""

import math


def class_mask(logits, index):
    """Return the mask of a class: the pixels (row, col) where its logit is the largest.

    Args:
        logits: of one image, [class][row][col].
        index: of the class.

    """
    classes, rows, cols = len(logits), len(logits[0]), len(logits[0][0])
    return {
        (row, col)
        for row in range(rows)
        for col in range(cols)
        if max(range(classes), key=lambda c: logits[c][row][col]) == index
    }


def summed(logits, index, region):
    """Return the sum of a class's logits over a region: Vinogradova et al. 2020, equation 2."""
    return sum(logits[index][row][col] for row, col in region)


def overlap(logits, index, region):
    """Return the intersection over union of a class with a region: Rahman & Wang 2016, section 3.

    I = Σ X·Y and U = Σ (X + Y − X·Y), X the class's probability and Y 1 inside the region.
    """
    intersection = union = 0.0
    for row in range(len(logits[0])):
        for col in range(len(logits[0][0])):
            powers = [math.exp(each[row][col]) for each in logits]
            share, inside = powers[index] / sum(powers), float((row, col) in region)
            intersection += share * inside
            union += share + inside - share * inside
    return intersection / union


def of_queries(classes, masks):
    """Return the share of each class at a pixel, of queries: Cheng et al. 2021, section 3.4.

    Σ_q p_q(c) · m_q with p the softmax over the classes and "no object", the last, which counts
    nowhere, and m the sigmoid of the mask; what all classes have is made 1.

    Args:
        classes: logits, [query][class + 1].
        masks: logits of the queries' masks at the pixel, [query].

    """
    found = [0.0] * (len(classes[0]) - 1)
    for logits, mask in zip(classes, masks, strict=True):
        powers = [math.exp(each) for each in logits]
        for index in range(len(found)):
            found[index] += powers[index] / sum(powers) / (1 + math.exp(-mask))
    return [each / sum(found) for each in found]
