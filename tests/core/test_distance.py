"""Mean attention distance agrees with plain loops over boxes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.operator_contract import random
from tests.reference import operators as twin

from regard.capture.operators import SoftmaxOperator
from regard.core import rowwise
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid


def boxes(grid):
    return [
        [grid.box(token, group) for token in range(grid.tokens)] for group in range(grid.groups)
    ]


@given(st.integers(0, 2**31), st.integers(1, 3), st.booleans())
@settings(max_examples=25)
def test_twin(seed, groups, small):
    generator = torch.Generator().manual_seed(seed)

    def grid(rows, cols, tokens, cell):
        places = torch.randint(NO_PLACE, rows * cols, (groups, tokens), generator=generator)
        return Grid(rows, cols, cell=cell, places=places.numpy())

    queries, keys = grid(2, 3, 5, (6.0, 4.0)), grid(4, 2, 4, (3.0, 6.0))
    operator = SoftmaxOperator(*(random(generator, 2 * groups, 2, n, 3) for n in (5, 4)))
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(rowwise, "_CPU_ELEMENTS", 1)
        told = operator.mean_distance(queries, keys)
    expected = twin.mean_distance(operator.dense().numpy(), boxes(queries), boxes(keys))
    np.testing.assert_allclose(told.numpy(), expected, rtol=1e-6)


def test_units():
    weights = torch.zeros(1, 1, 3, 3)
    scores = torch.tensor([[0.0, 0, 50], [0, 0, 0], [0, 50, 50]])
    operator = SoftmaxOperator(weights[..., :1], weights[..., :1], scores)
    grid = Grid(1, 2, prefix=1, cell=(8.0, 16.0))
    cells = operator.mean_distance(grid, grid, unit="cells").flatten()
    assert cells[0].isnan()  # a class token lies nowhere
    assert cells[1:].tolist() == pytest.approx([0.5, 0.5])
    pixels = operator.mean_distance(grid, grid).flatten()
    assert pixels[1:].tolist() == pytest.approx([8.0, 8.0])
    nowhere = Grid(1, 2, prefix=1)
    with pytest.raises(InputError, match="unit='cells'"):
        operator.mean_distance(nowhere, nowhere)
    with pytest.raises(InputError, match="unknown unit 'metres'"):
        operator.mean_distance(grid, grid, unit="metres")
    with pytest.raises(InputError, match="key_grid has 1 group"):
        operator.mean_distance(grid, Grid(1, 2))
