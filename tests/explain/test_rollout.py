"""Rollout by products with a vector is the explicit product of matrices, at any resolution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import operators as reference
from tests.reference.explain import rollout as twin

from regard.capture import capture
from regard.capture.operators import DenseOperator, SoftmaxOperator
from regard.core.errors import InputError, MissingPackage
from regard.core.grid import NO_PLACE, Grid
from regard.core.packages import require
from regard.core.record import AttentionRecord, Places, SiteTensors
from regard.core.seeding import seeded
from regard.explain.rollout import rollout, rollout_operator

CLASS_ONLY = Grid(2, 2, places=np.array([[NO_PLACE]]))


SAME = object()


def record(operator, queries=None, keys=SAME, images=2, kind="softmax"):
    keys = queries if keys is SAME else keys
    v = torch.zeros(1)
    return AttentionRecord(
        f"site {operator.shape}",
        kind,
        SiteTensors(v, v),
        "recomputed",
        grids=lambda: Places(queries, keys),
        images=images,
        _operator=operator,
    )


def attention(seed, n, m, batch=2, heads=3):
    generator = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(batch, heads, size, 4, generator=generator) for size in (n, m))
    return SoftmaxOperator(q, k, scale=1.5)


def weights_of(operator, image=0):
    return operator.dense()[image].double().numpy()


def close(got, expected, atol=1e-6):
    np.testing.assert_allclose(got.double().numpy(), expected, atol=atol)


@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 99), st.sampled_from([0.5, 0.25]))
@settings(max_examples=20)
def test_layers_of_the_same_tokens_need_no_places(depth, tokens, seed, share):
    operators = [attention(seed + i, tokens, tokens) for i in range(depth)]
    records = [record(operator) for operator in operators]
    for image in range(2):
        layers = [twin.layer(weights_of(o, image), share=share) for o in operators]
        expected = twin.rollout(layers)
        close(rollout_operator(records, share=share).dense()[image, 0], expected)
        for query in (0, tokens - 1):
            told = rollout(records, query, share=share)
            close(told.relevance[image], expected[query])


def test_the_class_token_or_the_mean_of_all():
    operators = [attention(i, 5, 5) for i in range(2)]
    expected = twin.rollout([twin.layer(weights_of(o)) for o in operators])
    after = Grid(2, 2, places=np.array([[0, NO_PLACE, 1, 2, 3]]))
    told = rollout([record(operator, after) for operator in operators])
    close(told.relevance[0], expected[1])
    close(told.map[0], expected[1][[0, 2, 3, 4]].reshape(2, 2))
    plain = [record(operator, Grid(1, 5)) for operator in operators]
    close(rollout(plain).relevance[0], expected.mean(0))


def windows(side, window, shift):
    cells = np.roll(np.arange(side * side).reshape(side, side), (-shift, -shift), (0, 1))
    cut = cells.reshape(side // window, window, side // window, window)
    return Grid(side, side, places=cut.transpose(0, 2, 1, 3).reshape(-1, window * window))


def test_windows_shifted_and_merged():
    """Swin (Liu et al. 2021): windows, shifted windows, merged patches, one window."""
    grids = [windows(4, 2, 0), windows(4, 2, 1), windows(2, 2, 0)]
    operators = [attention(i, 4, 4, batch=2 * grid.groups) for i, grid in enumerate(grids)]
    records = [record(o, grid) for o, grid in zip(operators, grids, strict=True)]
    whole = [
        reference.windows(o.dense().double().numpy(), g.table, g.table, g.cells, g.cells)
        for o, g in zip(operators, grids, strict=True)
    ]
    merge = reference.area_resampling((2, 2), (4, 4))
    for image in range(2):
        last = twin.layer(whole[2][image], pool=merge, shortcut=merge)
        layers = [twin.layer(whole[0][image]), twin.layer(whole[1][image]), last]
        expected = twin.rollout(layers)
        close(rollout_operator(records).dense()[image, 0], expected)
        close(rollout(records).relevance[image], expected.mean(0))
        close(rollout(records).map[image], expected.mean(0).reshape(4, 4))


def test_pooled_keys():
    """PVT (Wang et al. 2021): the keys of 4×4 cells are pooled to 2×2; then a stage of 2×2."""
    fine, coarse = Grid(4, 4), Grid(2, 2)
    first, second = attention(0, 16, 4), attention(1, 4, 1)
    records = [record(first, fine, coarse), record(second, coarse, Grid(1, 1))]
    pool = reference.area_resampling((2, 2), (4, 4))
    layers = [
        twin.layer(weights_of(first), pool=pool),
        twin.layer(weights_of(second), reference.area_resampling((1, 1), (4, 4)), pool),
    ]
    expected = twin.rollout(layers)
    close(rollout_operator(records).dense()[0, 0], expected)


def test_pooled_queries():
    """MViT (Fan et al. 2021): queries and their shortcut are pooled, keys even more."""
    grids = Grid(4, 4, prefix=1), Grid(2, 2, prefix=1), Grid(1, 1, prefix=1)
    first, second = attention(0, 17, 5), attention(1, 5, 2)
    records = [record(first, grids[0], grids[1]), record(second, grids[1], grids[2])]

    def with_class(matrix):
        result = np.zeros(np.array(matrix.shape) + 1)
        result[0, 0], result[1:, 1:] = 1, matrix
        return result

    pool = with_class(reference.area_resampling((2, 2), (4, 4)))
    more = with_class(reference.area_resampling((1, 1), (4, 4)))
    layers = [twin.layer(weights_of(first), pool), twin.layer(weights_of(second), more, pool)]
    expected = twin.rollout(layers)
    close(rollout_operator(records).dense()[0, 0], expected)
    close(rollout(records).relevance[0], expected[0])


def test_class_attention():
    """CaiT (Touvron et al. 2021): a class token is added at the end, and only it attends."""
    patches, both = Grid(2, 2), Grid(2, 2, prefix=1)
    body, first, second = attention(0, 4, 4), attention(1, 1, 5), attention(2, 1, 5)
    records = [
        record(body, patches),
        record(first, CLASS_ONLY, both),
        record(second, CLASS_ONLY, both),
    ]
    on_patches = twin.layer(weights_of(body))
    # The class token is nothing at first, so its own weight and its shortcut count for nothing.
    row = weights_of(first).mean(0)[0, 1:]
    entered = np.concatenate([row[None] / row.sum(), np.eye(4)])
    row = weights_of(second).mean(0)[0]
    again = np.eye(5)
    again[0] = 0.5 * row + 0.5 * again[0]
    expected = again @ entered @ on_patches
    close(rollout_operator(records).dense()[0, 0], expected)
    told = rollout(records)
    close(told.relevance[0], expected[0])
    assert told.map.shape == (2, 2, 2)


def test_tokens_that_could_not_be_placed():
    """As many as before are the same; one query that has no place is class attention."""
    patches, both = Grid(2, 2), Grid(2, 2, prefix=1)
    body, more, head = attention(0, 4, 4), attention(1, 4, 4), attention(2, 1, 5)
    placed = [record(body, patches), record(more, patches), record(head, CLASS_ONLY, both)]
    partly = [record(body, None, patches), record(more), record(head, None, both)]
    told = rollout(partly)
    close(told.relevance, rollout(placed).relevance)
    assert told.grid == patches


def test_one_query_that_is_no_token_of_its_own():
    """A pooling head asks with a learned query, which takes all from the tokens."""
    body, head = attention(0, 4, 4), attention(1, 1, 4)
    records = [record(body, Grid(2, 2)), record(head, None, Grid(2, 2))]
    expected = weights_of(head).mean(0) @ twin.layer(weights_of(body))
    close(rollout(records).relevance[0], expected[0])


def test_gates_are_passed_over():
    operator = attention(0, 3, 3)
    gate = record(operator, kind="gate")
    close(
        rollout([gate, record(operator), gate], 1).relevance,
        rollout([record(operator)], 1).relevance,
    )


def test_gradients_flow():
    q = torch.randn(1, 1, 4, 2, dtype=torch.float64, requires_grad=True)
    records = [record(SoftmaxOperator(q, q), images=1), record(SoftmaxOperator(-q, q), images=1)]
    told = rollout(records, 0).relevance[0, 2]
    (grad,) = torch.autograd.grad(told, q)
    step = torch.zeros_like(q)
    step[0, 0, 1, 0] = 1e-6
    moved = [
        rollout([record(SoftmaxOperator(s * x, x), images=1) for s in (1, -1)], 0).relevance[0, 2]
        for x in (q.detach() + step, q.detach() - step)
    ]
    assert float(grad[0, 0, 1, 0]) == pytest.approx(float(moved[0] - moved[1]) / 2e-6, rel=1e-5)


def test_what_cannot_follow_is_refused():
    with pytest.raises(InputError, match="at least one record"):
        rollout([])
    with pytest.raises(InputError, match="could not be placed"):
        rollout_operator([record(attention(0, 4, 4)), record(attention(0, 2, 2))])
    with pytest.raises(InputError, match="share is 1"):
        rollout([record(attention(0, 4, 4))], 0, share=1.5)
    with pytest.raises(InputError, match="query 4 does not exist"):
        rollout([record(attention(0, 4, 4))], 4)
    folded = DenseOperator(torch.rand(8, 1, 4, 4))
    with pytest.raises(InputError, match="could not be placed"):
        rollout([record(folded)], 0)


def zoo(name, **options):
    try:
        timm = require("timm", extra="zoo")
    except MissingPackage as error:
        pytest.skip(str(error))
    with seeded(0):
        return timm.create_model(name, **options).eval()


def test_vision_transformer_of_timm():
    model = zoo("vit_tiny_patch16_224", img_size=64, depth=3)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), capture(model, keep="operators") as seen:
        model(images)
    expected = twin.rollout([twin.layer(weights_of(r.operator, 1)) for r in seen.records])
    for kept in seen.records:  # of query, key and value, which are one tensor in this model
        assert kept.operator.query.untyped_storage().nbytes() == kept.operator.query.nbytes
    close(rollout(seen.records, 0).relevance[1], expected[0], atol=1e-5)
