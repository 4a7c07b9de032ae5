"""Relative position bias of Swin (Liu et al. 2021, eq. 4), stretched to the map's size."""

from tests.reference.attention.convolution import bilinear


def relative_bias(table, height, width):
    """table: (head, 2·rows − 1, 2·cols − 1). Return bias(query, key), a number for each head.

    The table's middle belongs to offset (0, 0); the offset is the query's place minus the key's.
    """
    stretched = bilinear(table, 2 * height - 1, 2 * width - 1)

    def bias(query, key):
        row, col = query[0] - key[0], query[1] - key[1]
        return stretched[:, row + height - 1, col + width - 1]

    return bias
