"""Chains, sums and normalised rows agree with products, sums and quotients of matrices."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.operator_contract import check_operator, random

from regard.capture.operators import DenseOperator, LinearOperator, SoftmaxOperator
from regard.core.composition import Chain, Normalised, WeightedSum, residual
from regard.core.errors import InputError
from regard.core.grid import Grid
from regard.core.sparse_operator import identity, resampling

seeds = st.integers(0, 2**31)


def softmax(generator, batch, heads, n, m):
    q, k = (random(generator, batch, heads, size, 3) for size in (n, m))
    return SoftmaxOperator(q, k)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), seeds)
@settings(max_examples=25)
def test_chain(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    pairs = itertools.pairwise(sizes)
    operators = [softmax(generator, 2, 3, n, m) for n, m in pairs]
    chain = Chain((*operators, identity(sizes[-1])))
    expected = operators[0].dense()
    for operator in operators[1:]:
        expected = expected @ operator.dense()
    torch.testing.assert_close(chain.dense(), expected)
    check_operator(chain, seed)


@given(st.integers(1, 5), st.integers(1, 5), seeds)
@settings(max_examples=25)
def test_sum_and_normalised(n, m, seed):
    generator = torch.Generator().manual_seed(seed)
    q, k = random(generator, 2, 1, n, 3).exp(), random(generator, 2, 1, m, 3).exp()
    parts = softmax(generator, 2, 1, n, m), LinearOperator(q, k)
    total = WeightedSum(parts, (0.3, 0.6))
    matrix = 0.3 * parts[0].dense() + 0.6 * parts[1].dense()
    torch.testing.assert_close(total.dense(), matrix)
    check_operator(total, seed)
    normalised = Normalised(total)
    torch.testing.assert_close(normalised.dense(), matrix / matrix.sum(-1, keepdim=True))
    check_operator(normalised, seed)


def test_rows_of_zeros_stay():
    weights = torch.tensor([[[[1.0, 3.0], [0.0, 0.0]]]])
    operator = Normalised(DenseOperator(weights))
    assert operator.dense().tolist() == [[[[0.25, 0.75], [0.0, 0.0]]]]


def test_residual_of_keys_that_are_pooled():
    """Pooled keys: attention of 16 cells over 4, each the mean of 2×2, and a shortcut of 16."""
    generator = torch.Generator().manual_seed(0)
    fine, coarse = Grid(4, 4), Grid(2, 2)
    attention = softmax(generator, 1, 2, 16, 4)
    layer = residual(Chain((attention, resampling(coarse, fine))), identity(16))
    dense = layer.dense()[0, 0]
    assert layer.shape == (1, 1, 16, 16)
    weight = attention.dense()[0, :, 3, 2].mean()  # of query (0, 3) for the pooled cell (1, 0)
    torch.testing.assert_close(dense[3, 12], weight / 8)
    torch.testing.assert_close(dense.sum(-1), torch.ones(16, dtype=torch.float64))
    check_operator(layer, 0)


def test_half_precision_weights_are_mixed_in_single():
    weights = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(0)).softmax(-1)
    half = DenseOperator(weights.to(torch.bfloat16))
    exact = DenseOperator(half.weights.double())
    got, expected = (
        Chain((residual(o, identity(5)), residual(o, identity(5)))) for o in (half, exact)
    )
    assert (got.rows(2) - expected.rows(2)).abs().max() < 1e-6
    assert (half.entropy() - exact.entropy()).abs().max() < 1e-6


def test_what_does_not_fit_is_refused():
    generator = torch.Generator().manual_seed(0)
    left, right = softmax(generator, 1, 1, 2, 3), softmax(generator, 2, 1, 3, 3)
    with pytest.raises(InputError, match="differ in batch or heads"):
        Chain((left, softmax(generator, 1, 2, 3, 3), softmax(generator, 1, 3, 3, 3)))
    with pytest.raises(InputError, match="3 keys cannot follow one with 2 queries"):
        Chain((left, left))
    with pytest.raises(InputError, match="one weight each"):
        WeightedSum((left, right), (1.0, 1.0))
    with pytest.raises(InputError, match="share is 2"):
        residual(right, identity(3), 2.0)
    with pytest.raises(InputError, match="at least one"):
        Chain(())
