"""Rows and products of every operator agree with its dense matrix."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.capture import operators
from regard.capture.operators import DenseOperator, LinearOperator, SoftmaxOperator
from regard.core.errors import InputError
from regard.core.operator import AttentionOperator

sizes = st.integers(1, 7)


@st.composite
def an_operator(draw):
    batch, heads, n, m, d = (draw(sizes) for _ in range(5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    options = {"generator": generator, "dtype": torch.float64}
    q, k = torch.randn(batch, heads, n, d, **options), torch.randn(batch, heads, m, d, **options)
    kind = draw(st.sampled_from(["dense", "softmax", "bool", "float", "causal", "linear"]))
    if kind == "dense":
        return kind, DenseOperator(torch.rand(batch, heads, n, m, **options))
    if kind == "linear":
        normaliser = torch.rand(batch, heads, n, 1, **options) + 1
        return kind, LinearOperator(q, k, normaliser, scale=0.5)
    mask = None
    if kind == "bool":
        mask = torch.rand(batch, 1, n, m, **options) > 0.5
    if kind == "float":
        mask = torch.randn(draw(st.sampled_from([1, n])), m, **options)
    return kind, SoftmaxOperator(q, k, mask, scale=0.7, causal=kind == "causal")


@given(an_operator(), st.integers(0, 2**31))
@settings(max_examples=120, deadline=None)
def test_products_and_rows_agree_with_the_matrix(drawn, seed):
    kind, operator = drawn
    generator = torch.Generator().manual_seed(seed)
    batch, heads, n, m = operator.shape
    matrix = operator.dense()
    v = torch.randn(batch, heads, m, 3, generator=generator, dtype=torch.float64)
    r = torch.randn(batch, heads, n, 3, generator=generator, dtype=torch.float64)
    assert isinstance(operator, AttentionOperator)
    assert matrix.shape == (batch, heads, n, m)
    torch.testing.assert_close(operator.matvec(v), matrix @ v)
    torch.testing.assert_close(operator.rmatvec(r), matrix.mT @ r)
    torch.testing.assert_close(operator.rows(n - 1), matrix[:, :, n - 1 :])
    torch.testing.assert_close(operator.rows(-1), matrix[:, :, n - 1 :])
    some = torch.randint(0, n, (3,), generator=generator)
    torch.testing.assert_close(operator.rows(some), matrix[:, :, some])
    if kind in ("softmax", "float", "causal"):
        torch.testing.assert_close(matrix.sum(-1), torch.ones_like(matrix.sum(-1)))
    if kind == "bool":
        sums = matrix.sum(-1)
        assert torch.all((sums - 1).abs().minimum(sums.abs()) < 1e-12)


@given(an_operator())
@settings(max_examples=30, deadline=None)
def test_blocks_of_any_size_add_up(drawn):
    _, operator = drawn
    batch, heads, n, _ = operator.shape
    r = torch.arange(batch * heads * n, dtype=torch.float64).view(batch, heads, n, 1)
    whole = operator.rmatvec(r)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "_BLOCK_ELEMENTS", 2 * operator.shape[3])
        torch.testing.assert_close(operator.rmatvec(r), whole)


def test_a_row_forms_no_matrix():
    """64 million weights would be 256 MB; a row needs the row."""
    q = torch.randn(1, 1, 8000, 4)
    largest = 0

    class Largest(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    operator = SoftmaxOperator(q, q, scale=0.5)
    with Largest():
        operator.rows(17)
        operator.matvec(q)
    assert largest <= q.numel()


def test_a_query_that_does_not_exist():
    operator = DenseOperator(torch.rand(1, 1, 3, 3))
    with pytest.raises(InputError, match="query 3 does not exist: this site has 3 queries"):
        operator.rows(3)


def test_half_precision_is_computed_in_single():
    q = torch.randn(1, 2, 50, 8).to(torch.bfloat16)
    operator = SoftmaxOperator(q, q, scale=0.3)
    assert operator.rows(0).dtype == torch.float32
    assert (operator.dense().sum(-1) - 1).abs().max() < 1e-6
    assert operator.matvec(q).dtype == torch.float32
