"""Sparse operators agree with their matrices; resampling shares areas."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.operator_contract import check_operator, random
from tests.reference import operators as twin

from regard.core.grid import NO_PLACE, Grid
from regard.core.sparse_operator import SparseOperator, identity, resampling

sides = st.integers(1, 6)


@given(st.integers(0, 9), sides, sides, st.integers(0, 2**31))
@settings(max_examples=30)
def test_sparse_operators_agree_with_their_matrix(entries, queries, keys, seed):
    generator = torch.Generator().manual_seed(seed)
    operator = SparseOperator(
        torch.randint(0, queries, (entries,), generator=generator),
        torch.randint(0, keys, (entries,), generator=generator),
        torch.rand(entries, generator=generator, dtype=torch.float64),
        (queries, keys),
    )
    check_operator(operator, seed)


def test_any_batch_and_heads():
    v = torch.randn(2, 3, 4, 5)
    operator = SparseOperator(
        torch.tensor([0, 1]), torch.tensor([3, 1]), torch.tensor([2.0, 0.5]), (2, 4)
    )
    expected = torch.stack([2 * v[:, :, 3], v[:, :, 1] / 2], 2)
    assert torch.equal(operator.matvec(v), expected)
    assert torch.equal(identity(4).rmatvec(v), v)


@given(sides, sides, sides, sides)
@settings(max_examples=40)
def test_cells_are_resampled_by_area(rows, cols, other_rows, other_cols):
    operator = resampling(Grid(rows, cols), Grid(other_rows, other_cols))
    expected = twin.area_resampling((rows, cols), (other_rows, other_cols))
    np.testing.assert_allclose(operator.dense()[0, 0].numpy(), expected, atol=1e-6)


def test_patch_merging_and_pooling_are_average_pooling():
    fine, coarse = Grid(4, 6), Grid(2, 3)
    values = random(torch.Generator().manual_seed(0), 1, 1, 24, 2)
    expected = torch.nn.functional.avg_pool2d(values[0].mT.unflatten(-1, (4, 6)), 2)
    merged = resampling(coarse, fine).matvec(values)
    torch.testing.assert_close(merged[0].mT, expected.flatten(-2), rtol=1e-6, atol=1e-6)


def test_frames():
    operator = resampling(Grid(1, 2, frames=2), Grid(1, 2, frames=4))
    values = torch.arange(8.0)[None, None, :, None]
    assert operator.matvec(values).flatten().tolist() == [1, 2, 5, 6]


def test_tokens_in_another_order_are_found():
    order = np.array([[3, 1, 0, 2]])
    operator = resampling(Grid(2, 2), Grid(2, 2, places=order))
    values = torch.tensor(order[0].astype(np.float32))[None, None, :, None]
    assert operator.matvec(values).flatten().tolist() == [0, 1, 2, 3]


def test_several_tokens_and_none_in_a_cell():
    keys = Grid(1, 4, places=np.array([[0, 0, 1, NO_PLACE]]))
    dense = resampling(Grid(1, 2), keys).dense()[0, 0]
    torch.testing.assert_close(dense, torch.tensor([[0.25, 0.25, 0.5, 0.0], [0.0] * 4]))


def test_prefix_tokens_correspond_in_order():
    dense = resampling(Grid(1, 2, prefix=1), Grid(1, 1, prefix=2)).dense()[0, 0]
    assert dense.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    dense = resampling(Grid(1, 1, prefix=2), Grid(1, 1)).dense()[0, 0]
    assert dense.tolist() == [[0], [0], [1]]
