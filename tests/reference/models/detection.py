"""Twins of what detectors are built of, from their papers, in loops and float64."""

import math

import numpy as np

from tests.reference.attention.convolution import convolve, pointwise


def area(box):
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def overlap(a, b):
    """Intersection over union of two boxes, xyxy."""
    shared = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    union = area(a) + area(b) - shared
    return shared / union if union else 0.0


def focal_loss(logit, target, alpha, gamma):
    """FL(p_t) = −α_t (1 − p_t)^γ log p_t: Lin et al. 2017, equations 2 to 5."""
    p = 1 / (1 + math.exp(-logit))
    p_t = p if target == 1 else 1 - p
    alpha_t = 1 if alpha is None else (alpha if target == 1 else 1 - alpha)
    return -alpha_t * (1 - p_t) ** gamma * math.log(p_t)


def anchors(rows, cols, stride, size, ratios, scales):
    """Boxes of every cell, about its middle: w·h = (scale · size)² and h / w = ratio."""
    found = []
    for row in range(rows):
        for col in range(cols):
            x, y = (col + 0.5) * stride, (row + 0.5) * stride
            for scale in scales:
                for ratio in ratios:
                    width = math.sqrt((scale * size) ** 2 / ratio)
                    height = ratio * width
                    found.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return np.array(found)


def offsets(box, anchor):
    """t_x, t_y, t_w, t_h: Ren et al. 2015, equation 2."""
    (x, y, w, h), (xa, ya, wa, ha) = centred(box), centred(anchor)
    return [(x - xa) / wa, (y - ya) / ha, math.log(w / wa), math.log(h / ha)]


def centred(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def match(boxes, places, low, high, best):
    """Ren et al. 2015, section 3.1.2: the box of each anchor, −1 background, −2 ignored."""
    answers = []
    for anchor in places:
        ious = [overlap(box, anchor) for box in boxes]
        most = max(ious, default=0.0)
        if boxes and most >= high:
            answers.append(ious.index(most))
        elif most < low or not boxes:
            answers.append(-1)
        else:
            answers.append(-2)
    if best:
        for box in boxes:
            most = max(overlap(box, anchor) for anchor in places)
            for at, anchor in enumerate(places):
                if most > 0 and overlap(box, anchor) == most:
                    ious = [overlap(each, anchor) for each in boxes]
                    answers[at] = ious.index(max(ious))
    return answers


def assign(scores, predicted, centres, boxes, labels, most, alpha, beta):
    """TOOD, section 3.2: (box or None, target) of each cell."""
    chosen = []
    alignment = {}
    for index, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        inside = []
        for at, (x, y) in enumerate(centres):
            u = overlap(box, predicted[at])
            alignment[index, at] = scores[at][label] ** alpha * u**beta
            if box[0] < x < box[2] and box[1] < y < box[3]:
                inside.append(at)
        inside.sort(key=lambda at: -alignment[index, at])
        chosen.append(inside[:most])
    answers = []
    for at in range(len(centres)):
        mine = [index for index, cells in enumerate(chosen) if at in cells]
        mine.sort(key=lambda index: -overlap(boxes[index], predicted[at]))
        answers.append(mine[0] if mine else None)
    targets = []
    for at, index in enumerate(answers):
        if index is None:
            targets.append(0.0)
            continue
        cells = [other for other, owner in enumerate(answers) if owner == index]
        largest = max(alignment[index, other] for other in cells)
        best = max(overlap(boxes[index], predicted[other]) for other in cells)
        targets.append(alignment[index, at] / largest * best if largest else 0.0)
    return answers, targets


def distribution_focal_loss(logits, y):
    """Li et al. 2020, equation 6, for one side."""
    below = math.floor(y)
    powers = [math.exp(logit) for logit in logits]
    shares = [power / sum(powers) for power in powers]
    left, right = (below + 1 - y), (y - below)
    return -(left * math.log(shares[below]) + right * math.log(shares[below + 1]))


def pyramid(weights, maps):
    """Lin et al. 2016, section 3: lateral 1×1, twice as large by nearest neighbours, add, 3×3."""
    levels = len(maps)
    lateral = [
        pointwise(x, weights[f"lateral.{i}.weight"], weights[f"lateral.{i}.bias"])
        for i, x in enumerate(maps)
    ]
    merged = [None] * levels
    for level in reversed(range(levels)):
        merged[level] = lateral[level].copy()
        if level + 1 < levels:
            _, height, width = lateral[level].shape
            for i in range(height):
                for j in range(width):
                    merged[level][:, i, j] += merged[level + 1][:, i // 2, j // 2]
    return [
        convolve(x, weights[f"smooth.{i}.weight"], weights[f"smooth.{i}.bias"])
        for i, x in enumerate(merged)
    ]


def relation(weights, regions, num_heads):
    """Hu et al. 2018, equations 1 to 4, with a geometric weight of 1: all regions of an image.

    Each relation feature is Σ_m ω_mn · (W_V f_m), with ω_mn = exp(ω_A,mn) / Σ_k exp(ω_A,kn) and
    ω_A,mn = dot(W_K f_m, W_Q f_n) / √d_k; those of all heads, side by side, go through one layer.
    """
    parts = {}
    for name in ("query", "key", "value"):
        matrix = weights[f"{name}.weight"][:, :, 0, 0]
        bias = weights.get(f"{name}.bias", np.zeros(len(matrix)))
        parts[name] = [matrix @ region + bias for region in regions]
    width = len(parts["query"][0]) // num_heads
    found = []
    for n in range(len(regions)):
        together = []
        for head in range(num_heads):
            mine = slice(head * width, (head + 1) * width)
            scores = [
                float(parts["key"][m][mine] @ parts["query"][n][mine]) / math.sqrt(width)
                for m in range(len(regions))
            ]
            powers = [math.exp(score) for score in scores]
            values = [parts["value"][m][mine] for m in range(len(regions))]
            shares = [power / sum(powers) for power in powers]
            together.append(sum(s * v for s, v in zip(shares, values, strict=True)))
        last = weights["project.weight"][:, :, 0, 0]
        found.append(last @ np.concatenate(together) + weights["project.bias"])
    return np.array(found)
