"""Where tokens lie: regular grids, windows folded into the batch, frames."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid

WINDOWS = np.array([[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]])
"""The cells of a 4×4 lattice in windows of 2×2."""


def random_places(seed, groups, tokens, cells):
    generator = np.random.default_rng(seed)
    return generator.integers(NO_PLACE, cells, (groups, tokens))


def test_regular_order():
    grid = Grid(3, 4, prefix=2)
    assert (grid.tokens, grid.cells, grid.groups, grid.placed) == (14, 12, 1, 12)
    assert grid.index(1, 2) == 2 + 6
    assert grid.position(2 + 6) == (1, 2)
    assert grid.position(1) is None
    assert grid.table.tolist() == [[-1, -1, *range(12)]]


def test_windows():
    grid = Grid(4, 4, cell=(8.0, 16.0), places=WINDOWS)
    assert grid.find(1, 2) == (1, 2)
    assert grid.position(3, group=2) == (3, 1)
    assert grid.box(3, group=2) == (16.0, 24.0, 32.0, 32.0)
    with pytest.raises(InputError, match="4 groups"):
        grid.index(0, 0)


def test_windows_are_laid_out_on_the_whole_map():
    grid = Grid(4, 4, places=WINDOWS)
    expected = torch.arange(16.0).reshape(4, 4)
    values = expected.reshape(2, 2, 2, 2).transpose(1, 2).reshape(1, 4, 4)
    assert torch.equal(grid.to_map(values)[0], expected)
    assert torch.equal(grid.from_map(expected), values[0])


def test_several_tokens_in_a_cell_are_averaged_and_an_empty_cell_is_nan():
    grid = Grid(1, 3, places=np.array([[0, 0, 2, NO_PLACE]]))
    laid = grid.to_map(torch.tensor([1.0, 3.0, 5.0, 100.0]))
    assert laid[0, 0] == 2.0
    assert laid[0, 1].isnan()
    assert laid[0, 2] == 5.0


def test_frames():
    grid = Grid(2, 3, prefix=1, frames=4)
    assert grid.tokens == 25
    assert grid.find(1, 2, frame=3) == (0, 24)
    assert (grid.frame(24), grid.position(24)) == (3, (1, 2))
    laid = grid.to_map(torch.arange(25.0))
    assert laid.shape == (4, 2, 3)
    assert laid[3, 1, 2] == 24
    with pytest.raises(InputError, match="4 frames"):
        grid.find(0, 0, frame=4)


@given(st.integers(0, 999), st.integers(1, 3), st.integers(1, 9))
def test_maps_and_tokens_agree_with_position(seed, groups, tokens):
    grid = Grid(2, 3, places=random_places(seed, groups, tokens, 6))
    field = torch.arange(1.0, 7.0).reshape(2, 3)
    values = grid.from_map(field).reshape(groups, tokens)
    for group in range(groups):
        for token in range(tokens):
            place = grid.position(token, group)
            assert values[group, token] == (0 if place is None else field[place])
    back = grid.to_map(values if groups > 1 else values[0])
    covered = ~back.isnan()
    assert torch.equal(back[covered], field[covered])
    assert int(covered.sum()) == len(set(grid.table.flatten()) - {NO_PLACE})


def test_equality_sees_the_order_of_the_tokens():
    regular = Grid(4, 4)
    written_out = Grid(4, 4, places=np.arange(16)[None])
    assert written_out == regular
    assert hash(written_out) == hash(regular)
    assert written_out.simplified().is_regular
    turned = Grid(4, 4, places=np.arange(16).reshape(4, 4).T.reshape(1, 16))
    assert turned != regular
    assert not turned.simplified().is_regular


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda grid: grid.index(2, 0), "outside the grid of 2×2"),
        (lambda grid: grid.position(5), "has 5 tokens"),
        (lambda grid: grid.position(0, group=1), "has 1 groups"),
        (lambda grid: grid.box(1), "no known size"),
        (lambda grid: grid.to_map(torch.zeros(4)), "4 values for the 5 tokens"),
        (lambda grid: grid.from_map(torch.zeros(3, 2)), "a grid of 2×2"),
    ],
)
def test_what_does_not_exist_is_said(ask, message):
    with pytest.raises(InputError, match=message):
        ask(Grid(2, 2, prefix=1))
