"""Cells are found from positions that are blurred, shifted and repeated, and in nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.capture.lattice import cover, fit_lattice


def middles(shape, cells):
    return (np.stack(np.unravel_index(cells, shape)) + 0.5) / np.array(shape)[:, None]


@given(st.integers(0, 2**31), st.integers(3, 8), st.integers(3, 8), st.floats(-0.4, 0.4))
@settings(max_examples=40)
def test_tokens_that_share_cells_are_found_though_all_are_shifted(seed, rows, cols, shift):
    random = np.random.default_rng(seed)
    shape = (rows, cols)
    tokens = np.concatenate([np.arange(rows * cols), random.integers(0, rows * cols, 60)])
    random.shuffle(tokens)
    noise = random.normal(0, 0.08, (2, len(tokens))) + shift
    position = middles(shape, tokens) + noise / np.array(shape)[:, None]
    lattice = cover(position, {shape, (2 * rows, 2 * cols), (2, 2)})
    assert lattice is not None
    assert lattice.shape == shape
    assert (lattice.cells == tokens).all()


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_tokens_anywhere_cover_no_map(seed):
    position = np.random.default_rng(seed).random((2, 200))
    assert cover(position, {(3, 3), (6, 8), (10, 10)}) is None


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_tokens_anywhere_fill_no_lattice(seed):
    lattice = fit_lattice(np.random.default_rng(seed).random((2, 24)), {(6, 8), (10, 10)})
    assert lattice is None or not lattice.is_sound


@pytest.mark.parametrize(("maps", "found"), [({(2, 3)}, True), ({(4, 4)}, False), ((), False)])
def test_few_tokens_must_be_a_map_of_the_model(maps, found):
    lattice = fit_lattice(middles((2, 3), np.arange(6)), maps)
    assert (lattice is not None) == found


def test_tokens_may_be_a_part_of_a_map():
    some = np.array([0, 9, 13, 22, 30, 38, 41, 47])
    lattice = fit_lattice(middles((6, 8), some), {(6, 8)})
    assert lattice is not None
    assert (lattice.cells == some).all()
