"""Twins of COCO's shapes: run lengths written by counting, polygons by casting a ray."""


def run_lengths(mask):
    """Count pixels outside and inside in turn, column by column; mask[y][x]."""
    pixels = [mask[y][x] for x in range(len(mask[0])) for y in range(len(mask))]
    counts, value = [0], False
    for pixel in pixels:
        if bool(pixel) != value:
            counts.append(0)
            value = not value
        counts[-1] += 1
    return counts


def as_text(counts):
    """The COCO API's rleToString: five bits a letter, differences from the third count on."""
    letters = []
    for index, count in enumerate(counts):
        x = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits = x & 0x1F
            x >>= 5
            more = x != -1 if bits & 0x10 else x != 0
            letters.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(letters)


def in_polygon(points, x, y):
    """Whether a ray to the right crosses the outline an odd number of times."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            crossings += 1
    return crossings % 2 == 1
