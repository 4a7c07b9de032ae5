"""Every operator agrees with its dense matrix, and each kind with its twin."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.operator_contract import check_operator, random
from tests.reference import operators as twin
from tests.reference.capture import softmax_attention

from regard.capture.operators import (
    DenseOperator,
    LinearOperator,
    SampledOperator,
    SoftmaxOperator,
    kernels,
)
from regard.core import rowwise
from regard.core.errors import InputError
from regard.core.operator import AttentionOperator

sizes = st.integers(1, 7)
seeds = st.integers(0, 2**31)
MASKS = ("none", "bool", "key_bool", "bias", "head_bias", "infinite", "causal", "causal_bool")


def masked(kind, batch, heads, n, m, generator):
    """Return a mask of a kind, in each of the shapes that models broadcast."""
    chance = torch.rand(batch, heads, n, m, generator=generator)
    bias = torch.randn(batch, heads, n, m, generator=generator, dtype=torch.float64)
    return {
        "none": None,
        "causal": None,
        "bool": chance[:, :1] > 0.5,
        "causal_bool": chance[0, 0] > 0.3,
        "key_bool": chance[:, :1, :1] > 0.5,
        "bias": bias[0, 0],
        "head_bias": bias[:1],
        "infinite": bias.masked_fill(chance > 0.5, -torch.inf),
    }[kind]


@st.composite
def a_softmax(draw, dtype=torch.float64):
    batch, heads, n, m, d = (draw(sizes) for _ in range(5))
    generator = torch.Generator().manual_seed(draw(seeds))
    kind = draw(st.sampled_from(MASKS))
    repeat = draw(st.sampled_from([1, 2]))
    q = random(generator, batch, heads * repeat, n, d).to(dtype)
    k = random(generator, batch, heads, m, d).to(dtype).repeat_interleave(repeat, 1)
    mask = masked(kind, batch, heads * repeat, n, m, generator)
    return SoftmaxOperator(q, k, mask, scale=0.7, causal=kind.startswith("causal"))


@st.composite
def an_operator(draw):
    kind = draw(st.sampled_from(["dense", "linear", "sampled", "softmax", "softmax", "softmax"]))
    if kind == "softmax":
        return draw(a_softmax())
    batch, heads, n, m, d = (draw(sizes) for _ in range(5))
    generator = torch.Generator().manual_seed(draw(seeds))
    if kind == "sampled":
        cells = torch.randint(0, m, (batch, heads, n, d), generator=generator)
        return SampledOperator(cells, random(generator, batch, heads, n, d).exp(), m)
    if kind == "dense":
        return DenseOperator(random(generator, batch, heads, n, m).exp())
    q, k = random(generator, batch, heads, n, d), random(generator, batch, heads, m, d)
    normaliser = draw(st.sampled_from([None, random(generator, batch, heads, n, 1).exp()]))
    return LinearOperator(q.relu(), k.relu(), normaliser, scale=0.5)


def softmax_twin(operator):
    """The weights of a softmax operator, by plain loops."""
    allowed, bias = np.ones(operator.shape, dtype=bool), None
    if operator.mask is not None and operator.mask.dtype == torch.bool:
        allowed = np.broadcast_to(operator.mask.numpy(), operator.shape)
    elif operator.mask is not None:
        bias = np.broadcast_to(operator.mask.double().numpy(), operator.shape)
    if operator.causal:
        allowed = allowed & np.tri(*operator.shape[2:], dtype=bool)
    q, k = (x.double().numpy() for x in (operator.query, operator.key))
    return softmax_attention.weights(q, k, operator.scale, allowed, bias)


@given(an_operator(), seeds)
@settings(max_examples=60)
def test_rows_products_and_sums_agree_with_the_matrix(operator, seed):
    assert isinstance(operator, AttentionOperator)
    check_operator(operator, seed)


@given(a_softmax(), seeds)
@settings(max_examples=15)
def test_blocks_of_any_size_add_up(operator, seed):
    with pytest.MonkeyPatch.context() as patch:
        for elements in (1, 2 * operator.shape[2] * operator.shape[3]):
            patch.setattr(rowwise, "_CPU_ELEMENTS", elements)
            check_operator(operator, seed)


@given(a_softmax())
@settings(max_examples=40)
def test_softmax_agrees_with_its_twin(operator):
    expected = softmax_twin(operator)
    np.testing.assert_allclose(operator.dense().numpy(), expected, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(operator.entropy().numpy(), twin.entropy(expected), atol=1e-12)


@given(a_softmax(torch.bfloat16), seeds)
@settings(max_examples=25)
def test_half_precision_is_computed_in_single(operator, seed):
    expected = torch.from_numpy(softmax_twin(operator)).float()
    generator = torch.Generator().manual_seed(seed)
    r = random(generator, *operator.shape[:3], 2).float()
    v = random(generator, *operator.shape[:2], operator.shape[3], 2).float()
    for got, wanted in (
        (operator.dense(), expected),
        (operator.matvec(v), expected @ v),
        (operator.rmatvec(r), expected.mT @ r),
    ):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_linear_agrees_with_its_twin():
    generator = torch.Generator().manual_seed(0)
    q, k = (random(generator, 2, 3, n, 4).exp() for n in (5, 6))
    normaliser = q @ k.sum(2, keepdim=True).mT
    operator = LinearOperator(q, k, normaliser)
    expected = twin.linear(q.numpy(), k.numpy(), normaliser.numpy(), 1.0)
    np.testing.assert_allclose(operator.dense().numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(operator.entropy().numpy(), twin.entropy(expected), rtol=1e-9)
    torch.testing.assert_close(operator.row_sums(), torch.ones_like(normaliser))


def test_negative_weights_have_no_entropy():
    operator = DenseOperator(torch.tensor([[[[0.5, 0.5], [1.5, -0.5], [0.0, 0.0]]]]))
    entropy = operator.entropy()[0, 0]
    assert float(entropy[0]) == pytest.approx(np.log(2))
    assert entropy[1:].isnan().all()


@pytest.mark.parametrize("spread", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("causal", [False, True])
def test_fused_kernels_are_exact_with_large_scores(spread, causal):
    """Scores up to about 500, where a logsumexp without a maximum taken off would overflow."""
    generator = torch.Generator().manual_seed(0)
    q, k = (random(generator, 1, 2, 67, 16).float() for _ in range(2))
    r = random(generator, 1, 2, 67, 5).float()
    k = k + 3  # what all keys share changes nothing
    scale = spread / 16
    exact = SoftmaxOperator(q.double(), k.double(), scale=scale, causal=causal)
    weights = exact.dense()
    product = kernels.transposed_product(q, k, r, scale=scale, causal=causal)
    # A score of s is itself rounded by s · 6e-8.
    tolerance = 1e-5 if spread < 100 else 2e-4
    torch.testing.assert_close(product.double(), weights.mT @ r.double(), atol=tolerance, rtol=0)
    entropy = kernels.entropy(q, k, scale=scale, causal=causal)
    expected = torch.special.entr(weights).sum(-1)
    torch.testing.assert_close(entropy.double(), expected, atol=10 * tolerance, rtol=0)


def test_blocks_are_exact_with_large_scores():
    generator = torch.Generator().manual_seed(0)
    q, k = (random(generator, 1, 2, 67, 16).float() for _ in range(2))
    r = random(generator, 1, 2, 67, 1).float()
    single = SoftmaxOperator(q, k, scale=2.0)
    exact = SoftmaxOperator(q.double(), k.double(), scale=2.0)
    for got, wanted in (
        (single.rmatvec(r), exact.rmatvec(r.double())),
        (single.matvec(r), exact.matvec(r.double())),
    ):
        torch.testing.assert_close(got.double(), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["none", "causal", "bias", "infinite", "bool"])
@pytest.mark.parametrize("blocks", [False, True])
def test_gradients_flow(kind, blocks, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    if blocks:
        monkeypatch.setattr(rowwise, "_CPU_ELEMENTS", 8)
    q, k = (random(generator, 1, 1, 4, 2).requires_grad_() for _ in range(2))
    r = random(generator, 1, 1, 4, 1).requires_grad_()
    mask = masked(kind, 1, 1, 4, 4, generator)
    if mask is not None and mask.dtype == torch.bool:
        mask[:, :, 2] = False  # a query that sees nothing

    def products(q, k, r):
        operator = SoftmaxOperator(q, k, mask, scale=0.5, causal=kind == "causal")
        told = [operator.rmatvec(r), operator.matvec(r), operator.rows(1)]
        return (*told, operator.entropy().nan_to_num())

    assert torch.autograd.gradcheck(products, (q, k, r))


@pytest.mark.parametrize("gradients", [False, True])
def test_products_form_no_matrix(gradients, monkeypatch):
    """9 million weights; nothing that is formed on the way, there or back, is as large."""
    monkeypatch.setattr(rowwise, "_CPU_ELEMENTS", (1 << 18) // torch.get_num_threads())
    q = torch.randn(1, 1, 3000, 4, requires_grad=gradients)
    largest = 0

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            for x in result if isinstance(result, tuple) else (result,):
                largest = max(largest, x.numel() if isinstance(x, torch.Tensor) else 0)
            return result

    operator = SoftmaxOperator(q, q, scale=0.5)
    with Largest():
        told = [operator.rows(17), operator.matvec(q), operator.matvec(torch.randn(1, 1, 3000, 9))]
        told += [operator.rmatvec(q[..., :1]), operator.entropy()]
        if gradients:
            sum(x.square().sum() for x in told[:4]).backward()
    assert largest <= 1 << 20


def test_a_query_that_does_not_exist():
    operator = DenseOperator(torch.rand(1, 1, 3, 3))
    with pytest.raises(InputError, match="query 3 does not exist: this site has 3 queries"):
        operator.rows(3)


@pytest.mark.gpu
@pytest.mark.parametrize("causal", [False, True])
def test_on_cuda_the_products_are_fused_and_exact(causal):
    generator = torch.Generator().manual_seed(0)
    q, k = (random(generator, 2, 3, 70, 20).float() for _ in range(2))
    r = random(generator, 2, 3, 70, 1).float()
    expected = SoftmaxOperator(q, k, scale=0.3, causal=causal)
    fused = SoftmaxOperator(q.cuda(), k.cuda(), scale=0.3, causal=causal)
    torch.testing.assert_close(fused.rmatvec(r.cuda()).cpu(), expected.rmatvec(r))
    torch.testing.assert_close(fused.entropy().cpu(), expected.entropy())
    torch.testing.assert_close(fused.matvec(r.cuda()).cpu(), expected.matvec(r))
