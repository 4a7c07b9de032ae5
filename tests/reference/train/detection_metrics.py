"""Twin of COCO's average precision, box by box, from Lin et al. 2014 and the rules published."""


def iou(a, b, crowd):
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = across * down
    size_a = (a[2] - a[0]) * (a[3] - a[1])
    size_b = (b[2] - b[0]) * (b[3] - b[1])
    whole = size_a if crowd else size_a + size_b - both
    return both / whole if whole > 0 else 0.0


def match(found, truth, threshold):
    """Return for each found box (by falling score) 'right', 'wrong' or 'ignored'.

    found: boxes by falling score; truth: (box, ignored) pairs.
    """
    taken = set()
    fates = []
    for box in found:
        best, best_overlap = None, 0.0
        for real in (True, False):
            for number, (true, ignored) in enumerate(truth):
                if ignored == real or (number in taken and not ignored):
                    continue
                overlap = iou(box, true, ignored)
                if overlap >= threshold and overlap >= best_overlap:
                    best, best_overlap = number, overlap
            if best is not None:
                break
        if best is None:
            fates.append("wrong")
        else:
            taken.add(best)
            fates.append("ignored" if truth[best][1] else "right")
    return fates


def average_precision(images, threshold):
    """images: a list of (found, truth); found: (score, box) pairs; truth: (box, ignored) pairs."""
    fates = []
    total = 0
    for found, truth in images:
        found = sorted(found, key=lambda pair: -pair[0])[:100]
        kinds = match([box for _, box in found], truth, threshold)
        fates += [(score, kind) for (score, _), kind in zip(found, kinds, strict=True)]
        total += sum(not ignored for _, ignored in truth)
    if not total:
        return None
    fates = sorted(fates, key=lambda pair: -pair[0])
    points = []
    right = wrong = 0
    for _, kind in fates:
        right += kind == "right"
        wrong += kind == "wrong"
        points.append((right / total, right / (right + wrong) if right + wrong else 0.0))
    # Precision at a recall: the best at this recall or a higher one.
    read = []
    for step in range(101):
        reached = [precision for recall, precision in points if recall >= step / 100 - 1e-12]
        read.append(max(reached, default=0.0))
    return sum(read) / 101
