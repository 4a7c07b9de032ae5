"""Attention within windows is one operator over the lattice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.operator_contract import check_operator, random
from tests.reference import operators as twin

from regard.capture.operators import DenseOperator, SoftmaxOperator
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.core.record import AttentionRecord, Places, SiteTensors
from regard.core.window_operator import WindowOperator


def places(generator, groups, tokens, cells):
    """Any places at all: tokens without one, cells with several tokens and with none."""
    return torch.randint(NO_PLACE, cells, (groups, tokens), generator=generator).numpy()


@st.composite
def windows(draw):
    images, groups, heads, n, m = (draw(st.integers(1, 3)) for _ in range(5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    grids = [
        Grid(2, 3, places=places(generator, groups, n + 1, 6)),
        Grid(2, 2, places=places(generator, groups, m + 1, 4)),
    ]
    q = random(generator, images * groups, heads, n + 1, 2)
    k = random(generator, images * groups, heads, m + 1, 2)
    return WindowOperator(SoftmaxOperator(q, k), *grids)


@given(windows(), st.integers(0, 2**31))
@settings(max_examples=40)
def test_windows_agree_with_their_matrix_and_their_twin(operator, seed):
    check_operator(operator, seed)
    expected = twin.windows(
        operator.inner.dense().numpy(),
        operator.query_grid.table,
        operator.key_grid.table,
        operator.query_grid.cells,
        operator.key_grid.cells,
    )
    np.testing.assert_allclose(operator.dense().numpy(), expected, atol=1e-12)


def shifted(side, window, shift):
    """Places of shifted windows, from the definition: roll the lattice, then cut it."""
    cells = np.roll(np.arange(side * side).reshape(side, side), (-shift, -shift), (0, 1))
    cut = cells.reshape(side // window, window, side // window, window)
    return cut.transpose(0, 2, 1, 3).reshape(-1, window * window)


@pytest.mark.parametrize("shift", [0, 1])
def test_swin_windows_are_masked_attention_over_the_lattice(shift):
    """Liu et al. 2021: cells attend to the cells of their window, and that is all."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (random(generator, 2, 3, 16, 4) for _ in range(3))
    table = shifted(4, 2, shift)
    inner = [x[:, :, table].transpose(1, 2).flatten(0, 1) for x in (q, k)]
    grid = Grid(4, 4, places=table)
    together = torch.zeros(16, 16, dtype=torch.bool)
    for window in table:
        together[np.ix_(window, window)] = True
    expected = SoftmaxOperator(q, k, together, scale=0.5)
    record = AttentionRecord(
        "attn",
        "softmax",
        SiteTensors(v, v),
        "recomputed",
        grids=lambda: Places(grid, grid),
        images=2,
        _operator=SoftmaxOperator(*inner, scale=0.5),
    )
    operator = record.whole_operator
    torch.testing.assert_close(operator.dense(), expected.dense())
    torch.testing.assert_close(operator.matvec(v), expected.matvec(v))
    torch.testing.assert_close(operator.rows(5), expected.rows(5))


def test_gradients_flow_through_windows():
    generator = torch.Generator().manual_seed(0)
    grid = Grid(2, 2, places=np.array([[0, 1], [2, NO_PLACE], [3, 3]]))
    q, k = (random(generator, 3, 1, 2, 2).requires_grad_() for _ in range(2))
    r = random(generator, 1, 1, 4, 1)

    def products(q, k):
        operator = WindowOperator(SoftmaxOperator(q, k), grid, grid)
        return operator.rmatvec(r), operator.matvec(r), operator.rows(3)

    assert torch.autograd.gradcheck(products, (q, k))


def test_grids_of_other_windows():
    grid = Grid(4, 4, places=shifted(4, 2, 0))
    with pytest.raises(InputError, match="4 × 4 and 4 × 4"):
        WindowOperator(DenseOperator(torch.rand(6, 1, 4, 4)), grid, grid)
    with pytest.raises(InputError, match="windows of 3 queries"):
        WindowOperator(DenseOperator(torch.rand(4, 1, 3, 4)), grid, grid)
