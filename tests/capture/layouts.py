"""Layouts of tokens, told from their definitions, and how to compare with them."""

import numpy as np
import torch

from regard.capture import capture
from regard.core.grid import NO_PLACE


def captured(model, *size, **inputs):
    """Run a model on two images of (height, width), or on other inputs."""
    inputs = inputs or {"x": torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))}
    with torch.no_grad(), capture(model) as seen:
        model(*inputs.values()) if list(inputs) == ["x"] else model(**inputs)
    return [record for record in seen.records if record.kind != "gate"]


def regular(rows, cols, prefix=0):
    """Row by row, after tokens without a place."""
    return np.concatenate([np.full(prefix, NO_PLACE), np.arange(rows * cols)])[None]


def windows(cells, height, width):
    """(row, col) in windows of height × width, row by row within and among them."""
    rows, cols = cells.shape
    split = cells.reshape(rows // height, height, cols // width, width)
    return split.transpose(0, 2, 1, 3).reshape(-1, height * width)


def dilated(cells, height, width):
    """(row, col) in groups of height × width tokens that are spread over the whole map."""
    rows, cols = cells.shape
    split = cells.reshape(height, rows // height, width, cols // width)
    return split.transpose(1, 3, 0, 2).reshape(-1, height * width)


def lattice(rows, cols):
    return np.arange(rows * cols).reshape(rows, cols)


def assert_placed(grid, expected, cell):
    """At least 99 % of the tokens where they are; none elsewhere in a small map."""
    assert grid.table.shape == expected.shape
    assert (grid.table == expected).mean() >= 0.99
    assert grid.cell == cell
