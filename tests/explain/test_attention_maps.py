"""Raw attention, rollout as a method and value-weighted attention are those of open weights."""

import numpy as np
import pytest
import torch
from tests.core.operator_contract import check_operator
from tests.explain.attending import fuse, hooks_of, logits_of, pictures, small, windowed
from tests.reference import operators as reference
from tests.reference.explain import attention_maps as twin
from tests.reference.explain import rollout as rollout_twin
from torch import nn

from regard.capture import capture
from regard.capture.operators import SoftmaxOperator
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.explain.attention_row import attention
from regard.explain.attention_sites import on_map
from regard.explain.rollout_map import rollout_map
from regard.explain.value_weighted_attention import KeyWeighted, value_weighted_attention

CLASSES = (3, 1)
SCORE = logits_of(*CLASSES)


def weights_of(model, images):
    """Return each layer's weights, (image, head, query, key)."""
    return [weights for weights, _ in twin.in_the_open(model, images, CLASSES)]


def values_of(model, images, block):
    """Return the values of a timm transformer's block in float64, (image, head, key, d)."""
    kept = []
    hook = model.blocks[block].attn.qkv.register_forward_hook(lambda _m, _a, out: kept.append(out))
    with torch.no_grad():
        model(images)
    hook.remove()
    batch, tokens, _ = kept[0].shape
    heads = model.blocks[block].attn.num_heads
    qkv = kept[0].double().numpy().reshape(batch, tokens, 3, heads, -1)
    return qkv[:, :, 2].transpose(0, 2, 1, 3)


def close(got, expected):
    np.testing.assert_allclose(got.double().numpy(), np.stack(expected), rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"query": 5, "head": 2}, {"site": "blocks.[01].attn", "head": 1}]
)
def test_a_row_of_attention(fused, options):
    model, images = small("vit"), pictures(64)
    fuse(model, fused=fused)
    maps = attention(model, images, SCORE, **options)
    layer = 1 if "site" in options else 2
    asked = options.get("query", 0), options.get("head")
    expected = [twin.row(w, *asked)[1:].reshape(4, 4) for w in weights_of(model, images)[layer]]
    close(maps.values, expected)
    assert (maps.kind, maps.keys) == ("distribution", 17)
    assert maps.site == (f"blocks.{layer}.attn",)
    assert maps.provenance == ("recomputed" if fused else "exact")
    assert bool(maps.chosen) == ("site" not in options)


def test_without_a_class_token_it_is_the_mean_of_all_queries():
    model, images = small("vit", global_pool="avg", class_token=False), pictures(64)
    weights = weights_of(model, images)[2]
    for head in (None, 1):
        maps = attention(model, images, SCORE, head=head)
        close(maps.values, [twin.row(w, None, head).reshape(4, 4) for w in weights])
        torch.testing.assert_close(maps.values.sum((1, 2)), torch.ones(2))
    assert maps.keys == 16


def whole(model, images, layer, quantity=None):
    """Return one layer's quantity over the whole map, (image, head, cell, cell)."""
    with torch.no_grad(), capture(model) as seen:
        model(images)
    record = seen.records[layer]
    grid = record.query_grid
    quantity = weights_of(model, images)[layer] if quantity is None else quantity(record)
    return reference.windows(quantity, grid.table, grid.table, grid.cells, grid.cells)


@pytest.mark.parametrize("query", [None, 11])
def test_windows_are_taken_together(query):
    model, images = windowed(), pictures(16)
    maps = attention(model, images, SCORE, site="layers.0.blocks.1.attn", query=query)
    expected = [twin.row(w, query).reshape(4, 4) for w in whole(model, images, 1)]
    close(maps.values, expected)
    assert maps.keys == 16


def test_the_values_of_windows():
    model, images = windowed(), pictures(16)
    maps = value_weighted_attention(model, images, SCORE, site="layers.0.blocks.1.attn", query=11)

    def lengths(record):
        value = record.tensors.value.double().numpy()
        weights = weights_of(model, images)[1]
        return weights * np.sqrt((value**2).sum(-1))[:, :, None]

    expected = [twin.row(w, 11).reshape(4, 4) for w in whole(model, images, 1, lengths)]
    close(maps.values, expected)


def test_pooled_keys_are_placed_where_they_lie():
    model, images = small("pvt"), pictures(64)
    maps = attention(model, images, SCORE, site="stages.0.*")
    close(maps.values, [twin.row(w).reshape(8, 8) for w in weights_of(model, images)[0]])
    assert maps.keys == 64


@pytest.mark.parametrize("options", [{}, {"share": 0.8, "query": 3}, {"site": "blocks.[01].attn"}])
def test_rollout(options):
    model, images = small("vit"), pictures(64)
    maps = rollout_map(model, images, SCORE, **options)
    weights = weights_of(model, images)[: 2 if "site" in options else 3]
    share, query = options.get("share", 0.5), options.get("query", 0)
    expected = [
        rollout_twin.rollout([rollout_twin.layer(w[image], share=share) for w in weights])
        for image in range(2)
    ]
    close(maps.values, [matrix[query, 1:].reshape(4, 4) for matrix in expected])
    assert (maps.kind, maps.keys) == ("distribution", 17)
    assert maps.site == tuple(f"blocks.{i}.attn" for i in range(len(weights)))


@pytest.mark.parametrize("options", [{}, {"query": 5, "head": 2}])
def test_what_a_token_fetches(options):
    model, images = small("vit"), pictures(64)
    maps = value_weighted_attention(model, images, SCORE, **options)
    asked = options.get("query", 0), options.get("head")
    weights, values = weights_of(model, images)[2], values_of(model, images, 2)
    expected = [
        twin.fetched(w, v, *asked)[1:].reshape(4, 4) for w, v in zip(weights, values, strict=True)
    ]
    close(maps.values, expected)
    assert (maps.kind, maps.keys) == ("positive", None)


@pytest.mark.parametrize("method", [attention, rollout_map, value_weighted_attention])
def test_nothing_is_left_behind(method):
    model, images = small("vit"), pictures(64)
    maps = method(model, images, SCORE)
    assert not maps.values.requires_grad

    def fail(*_):
        raise ZeroDivisionError

    model.blocks[1].mlp.forward = fail
    with pytest.raises(ZeroDivisionError):
        method(model, images, SCORE)
    assert hooks_of(model) == 0
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(3, 3)

    def forward(self, x):
        return (x * self.score(x.mean((2, 3))).sigmoid()[..., None, None]).flatten(1)


def test_what_is_refused():
    model, images = small("vit"), pictures(64)
    with pytest.raises(InputError, match=r"head 3 does not exist: site 'blocks.2.attn' has 3"):
        attention(model, images, SCORE, head=3)
    with pytest.raises(InputError, match="query 17 does not exist"):
        value_weighted_attention(model, images, SCORE, query=17)
    with pytest.raises(InputError, match="is no module of the model"):
        attention(model, images, SCORE, site=nn.Identity())
    with pytest.raises(InputError, match=r"do tokens attend to each other: Gate .a gate"):
        attention(Gate(), images, SCORE)
    with pytest.raises(
        InputError, match=r"no attention ran in Conv2d.*grad_cam needs no attention"
    ):
        rollout_map(nn.Conv2d(3, 3, 1), images, SCORE)


def test_a_module_as_site():
    model, images = small("vit"), pictures(64)
    maps = attention(model, images, SCORE, site=model.blocks[1])
    assert maps.site == ("blocks.1.attn",)
    maps = rollout_map(model, images, SCORE, site=model.blocks[1].attn)
    assert maps.site == ("blocks.1.attn",)


class SignedAttention(nn.Module):
    """Linear attention whose features are not positive."""

    def forward(self, x):
        tokens = x.flatten(2).mT
        memory = tokens.softmax(1).mT @ tokens
        return (tokens @ memory).mean(1)


def test_rollout_makes_no_shares_of_negative_weights():
    with pytest.raises(InputError, match=r"negative weights.*choose gradient_rollout"):
        rollout_map(SignedAttention(), pictures(4), SCORE)


def test_cells_without_a_token_get_nothing():
    grid = Grid(2, 2, places=np.array([[NO_PLACE, 3, 0]]))
    got = on_map(grid, torch.tensor([[0.5, 0.2, 0.3]]))
    assert got.tolist() == [[[pytest.approx(0.3), 0], [0, pytest.approx(0.2)]]]


def test_the_operator_keeps_its_promises():
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(2, 3, n, 4, dtype=torch.float64, generator=generator) for n in (5, 6))
    weights = torch.rand(2, 3, 6, 1, dtype=torch.float64, generator=generator)
    check_operator(KeyWeighted(SoftmaxOperator(q, k), weights), 0)
