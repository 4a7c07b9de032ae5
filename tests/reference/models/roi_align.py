"""Twin of RoIAlign: He et al. 2017, section 3, point by point."""

import math


def bilinear(feature, row, col):
    """Read a list of rows between its centres; the border is repeated for one cell."""
    height, width = len(feature), len(feature[0])
    if row < -1 or row > height or col < -1 or col > width:
        return 0.0
    row = min(max(row, 0.0), height - 1.0)
    col = min(max(col, 0.0), width - 1.0)
    above, before = int(row), int(col)
    below, after = min(above + 1, height - 1), min(before + 1, width - 1)
    down, right = row - above, col - before
    return (
        feature[above][before] * (1 - down) * (1 - right)
        + feature[above][after] * (1 - down) * right
        + feature[below][before] * down * (1 - right)
        + feature[below][after] * down * right
    )


def roi_align(feature, box, size, scale, sampling):
    """One channel, one box: a list of rows."""
    # Feature k covers k to k + 1 of the map, and its centre is at k + 1/2.
    left, top, right, bottom = (side * scale - 0.5 for side in box)
    rows, cols = size
    cell_height, cell_width = (bottom - top) / rows, (right - left) / cols
    down = sampling if sampling is not None else math.ceil(cell_height)
    across = sampling if sampling is not None else math.ceil(cell_width)
    result = []
    for i in range(rows):
        result.append([])
        for j in range(cols):
            total = 0.0
            for a in range(down):
                for b in range(across):
                    row = top + (i + (a + 0.5) / down) * cell_height
                    col = left + (j + (b + 0.5) / across) * cell_width
                    total += bilinear(feature, row, col)
            result[-1].append(total / max(down * across, 1))
    return result
