"""Twins of the box operators, one pair of boxes at a time, in plain Python."""

import math


def area(box):
    left, top, right, bottom = box
    return max(right - left, 0.0) * max(bottom - top, 0.0)


def intersection(a, b):
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def around(a, b):
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def iou(a, b):
    shared = intersection(a, b)
    union = area(a) + area(b) - shared
    return shared / union if union > 0 else 0.0


def giou(a, b):
    """Rezatofighi et al. 2019, algorithm 1."""
    whole = area(around(a, b))
    union = area(a) + area(b) - intersection(a, b)
    return iou(a, b) - (whole - union) / whole


def diou(a, b):
    """Zheng et al. 2019, equation 7."""
    left, top, right, bottom = around(a, b)
    centre_a = (a[0] + a[2]) / 2, (a[1] + a[3]) / 2
    centre_b = (b[0] + b[2]) / 2, (b[1] + b[3]) / 2
    return (
        iou(a, b) - (math.dist(centre_a, centre_b) / math.dist((left, top), (right, bottom))) ** 2
    )


def ciou(a, b):
    """Zheng et al. 2019, equations 8 to 11."""
    shape_a = math.atan((a[2] - a[0]) / (a[3] - a[1]))
    shape_b = math.atan((b[2] - b[0]) / (b[3] - b[1]))
    v = 4 / math.pi**2 * (shape_b - shape_a) ** 2
    alpha = v / ((1 - iou(a, b)) + v) if v else 0.0
    return diou(a, b) - alpha * v


def nms(boxes, scores, groups, threshold):
    """Take the best box that is left, drop what it overlaps, and again."""
    left = sorted(range(len(boxes)), key=lambda index: (-scores[index], index))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [
            other
            for other in left
            if groups[other] != groups[best] or not iou(boxes[best], boxes[other]) > threshold
        ]
    return kept
