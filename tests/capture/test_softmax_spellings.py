"""Softmax-then-matmul is found however it is written, and laid out as records are."""

import numpy as np
import pytest
import torch
from tests.reference.capture import softmax_attention as twin
from torch import nn
from torch.nn import functional as F

from regard.capture import capture
from regard.core.errors import NothingCaptured

B, H, N, M, D, E = 2, 3, 5, 4, 6, 2
SCALE = 0.4


def at(q, k, v):
    return (q @ k.transpose(-2, -1) * SCALE).softmax(-1) @ v


def scaled_query(q, k, v):
    return torch.matmul(F.softmax((q * SCALE) @ k.mT, dim=-1), v)


def torch_softmax_divided(q, k, v):
    return torch.softmax(torch.matmul(q, k.mT) / (1 / SCALE), 3).matmul(v)


def einsum(q, k, v):
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * SCALE
    return torch.einsum("b h q k, b h k e -> b h q e", scores.softmax(-1), v)


def einsum_with_dots(q, k, v):
    scores = torch.einsum("...qd,...kd->...qk", q, k) * SCALE
    return torch.einsum("...qk,...ke->...qe", scores.softmax(-1), v)


def einsum_heads_last(q, k, v):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    weights = (torch.einsum("bqhd,bkhd->bqhk", q, k) * SCALE).softmax(-1)
    return torch.einsum("bqhk,bkhe->bqhe", weights, v).transpose(1, 2)


def keys_first(q, k, v):
    weights = (k @ q.mT * SCALE).softmax(dim=-2)
    return (v.mT @ weights).mT


def bmm_heads_in_batch(q, k, v):
    q, k, v = (x.reshape(B * H, -1, x.shape[-1]) for x in (q, k, v))
    weights = F.softmax(torch.bmm(q, k.transpose(1, 2)) * SCALE, dim=-1)
    return torch.bmm(weights, v).view(B, H, N, E)


def baddbmm(q, k, v):
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    empty = q.new_zeros(B * H, N, M)
    weights = torch.baddbmm(empty, q, k.mT, beta=0, alpha=SCALE).softmax(-1)
    return (weights @ v).unflatten(0, (B, H))


def dropped_and_cast(q, k, v):
    weights = (q @ k.mT * SCALE).softmax(-1, dtype=torch.float64)
    return F.dropout(weights, 0.5, training=False).to(v.dtype) @ v


def reshaped_weights(q, k, v):
    weights = (q @ k.mT * SCALE).softmax(-1)
    return (weights.flatten(0, 1) @ v.flatten(0, 1)).unflatten(0, (B, H))


def masked_in_place(q, k, v):
    scores = q @ k.mT
    scores *= SCALE
    scores.masked_fill_(torch.zeros(N, M, dtype=torch.bool), -torch.inf)
    return scores.softmax(-1) @ v


def written_out(q, k, v):
    weights = (q @ k.mT * SCALE).exp()
    return weights / weights.sum(-1, keepdim=True) @ v


def written_out_in_place(q, k, v):
    weights = (q @ k.mT).mul_(SCALE).exp_()
    weights /= weights.sum(dim=-1, keepdim=True)
    return weights @ v


SPELLINGS = [
    at,
    scaled_query,
    torch_softmax_divided,
    einsum,
    einsum_with_dots,
    einsum_heads_last,
    keys_first,
    bmm_heads_in_batch,
    baddbmm,
    dropped_and_cast,
    reshaped_weights,
    masked_in_place,
    written_out,
    written_out_in_place,
]


class Spelled(nn.Module):
    num_heads = H

    def __init__(self, attend):
        super().__init__()
        self.attend = attend

    def forward(self, q, k, v):
        return self.attend(q, k, v)


@pytest.fixture
def qkv():
    generator = torch.Generator().manual_seed(0)
    sizes = ((B, H, N, D), (B, H, M, D), (B, H, M, E))
    return [torch.randn(*s, generator=generator, dtype=torch.float64) for s in sizes]


@pytest.mark.parametrize("attend", SPELLINGS)
def test_found_and_laid_out(attend, qkv):
    model = Spelled(attend)
    with capture(model) as seen:
        output = model(*qkv)
    assert torch.equal(output, model(*qkv))
    (record,) = seen.calls("Spelled")
    q, k, v = (x.numpy() for x in qkv)
    expected = twin.weights(q, k, SCALE)
    np.testing.assert_allclose(record.operator.dense().numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(record.tensors.value.numpy(), v)
    np.testing.assert_allclose(record.tensors.output.numpy(), twin.attend(expected, v), rtol=1e-9)
    assert (record.kind, record.provenance) == ("softmax", "exact")


@pytest.mark.parametrize("attend", SPELLINGS)
def test_query_key_and_scores_are_found(attend, qkv):
    model = Spelled(attend)
    with capture(model) as seen:
        model(*qkv)
    tensors = seen["Spelled"].tensors
    scaled = tensors.query @ tensors.key.mT * tensors.scale
    torch.testing.assert_close(scaled, qkv[0] @ qkv[1].mT * SCALE)
    torch.testing.assert_close(tensors.scores, scaled)


def test_the_largest_score_may_be_taken_off_before(qkv):
    def attend(q, k, v):
        scores = q @ k.mT * SCALE
        weights = torch.exp(scores - scores.amax(-1, keepdim=True))
        return torch.div(weights, torch.sum(weights, -1, True)) @ v

    model = Spelled(attend)
    with capture(model) as seen:
        model(*qkv)
    expected = twin.weights(qkv[0].numpy(), qkv[1].numpy(), SCALE)
    np.testing.assert_allclose(seen["Spelled"].operator.dense().numpy(), expected, rtol=1e-9)


def test_exponentials_over_the_sum_of_others_are_no_softmax(qkv):
    def attend(q, k, v):
        weights, others = (q @ k.mT).exp(), (q @ k.mT).exp()
        return weights / others.sum(-1, keepdim=True) @ v

    model = Spelled(attend)
    with pytest.raises(NothingCaptured), capture(model):
        model(*qkv)


def test_the_weights_are_the_tensor_that_the_model_used(qkv):
    kept = []

    def attend(q, k, v):
        kept.append((q @ k.mT).softmax(-1))
        return kept[0] @ v

    model = Spelled(attend)
    with capture(model) as seen:
        model(*qkv)
    assert seen["Spelled"].tensors.weights is kept[0]


def test_multihead_attention_of_torch():
    model = nn.MultiheadAttention(H * D, H, batch_first=True).eval()
    x = torch.randn(B, N, H * D)
    for needed in (True, False):
        with capture(model) as seen:
            _, weights = model(x, x, x, need_weights=needed, average_attn_weights=False)
        (record,) = seen.calls("MultiheadAttention")
        assert record.operator.shape == (B, H, N, N)
        assert record.provenance == ("exact" if needed else "recomputed")
        if needed:
            torch.testing.assert_close(record.operator.dense(), weights)


def test_a_learned_memory_is_the_values():
    """External attention: the values are the weights of a layer."""

    class External(nn.Module):
        def __init__(self):
            super().__init__()
            self.keys, self.values = nn.Linear(D, M, bias=False), nn.Linear(M, E, bias=False)

        def forward(self, x):
            weights = self.keys(x).softmax(dim=1)
            return self.values(weights / weights.sum(2, keepdim=True))

    model, x = External(), torch.randn(B, N, D)
    with capture(model) as seen, torch.no_grad():
        model(x)
    record = seen["External"]
    assert record.operator.shape == (B, 1, N, M)
    torch.testing.assert_close(record.operator.dense().sum(-1), torch.ones(B, 1, N))
    assert seen.verify()["External"] < 1e-6


def test_mixed_heads_are_still_attention():
    """Talking heads: the softmax's output is mixed over the heads before it meets the values."""

    class Talking(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Linear(H, H)

        def forward(self, q, k, v):
            weights = (q @ k.mT).softmax(-1)
            return self.mix(weights.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) @ v

    model = Talking()
    with capture(model) as seen, torch.no_grad():
        model(torch.randn(B, H, N, D), torch.randn(B, H, M, D), torch.randn(B, H, M, E))
    assert seen["Talking"].operator.shape == (B, H, N, M)
    assert seen.verify()["Talking"] < 1e-6


def test_a_classifiers_softmax_is_not_attention():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(16, 5), nn.Softmax(-1))
    with pytest.raises(NothingCaptured), capture(model):
        model(torch.randn(2, 3, 2, 2))


def test_a_softmax_over_another_axis_is_not_attention():
    class Other(nn.Module):
        def forward(self, x):
            return x.softmax(1) @ x.mT

    with pytest.raises(NothingCaptured), capture(model := Other()):
        model(torch.randn(2, 3, 4))


class ScoresSetInPart(nn.Module):
    """A bias that is computed from the queries, or something else, is written into the scores."""

    def __init__(self, new):
        super().__init__()
        self.new = new

    def forward(self, q, k, v):
        scores = q @ k.mT
        scores[:, :, 1:] = self.new(scores[:, :, 1:], q, k)
        return scores.softmax(-1) @ v


def test_scores_with_a_bias_written_into_a_part_of_them_keep_query_and_key():
    q, k, v = torch.randn(B, H, N, D), torch.randn(B, H, M, D), torch.randn(B, H, M, E)
    model = ScoresSetInPart(lambda part, q, _: part + q[:, :, 1:].sum(-1, keepdim=True))
    with capture(model) as seen:
        model(q, k, v)
    (record,) = seen.records
    assert torch.equal(record.tensors.query, q)
    assert torch.equal(record.tensors.key, k)


def test_scores_that_were_overwritten_have_no_query_and_key():
    q, k, v = torch.randn(B, H, N, D), torch.randn(B, H, M, D), torch.randn(B, H, M, E)
    model = ScoresSetInPart(lambda part, q, k: q[:, :, 1:] @ k.mT.exp())
    with capture(model) as seen:
        model(q, k, v)
    (record,) = seen.records
    assert record.tensors.query is None
    assert record.tensors.key is None
