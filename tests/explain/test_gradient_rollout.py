"""Gradient rollout by products with a vector is Chefer's R, from gradients through open weights."""

import numpy as np
import pytest
import torch
from tests.core.operator_contract import check_operator
from tests.explain.attending import detector, fuse, hooks_of, logits_of, pictures, small, windowed
from tests.reference import operators as reference
from tests.reference.explain import attention_maps as twin

from regard.capture import capture
from regard.capture.operators import SoftmaxOperator
from regard.core.errors import InputError
from regard.explain.gradient_rollout import gradient_rollout
from regard.explain.gradient_weighted import GradientWeighted
from regard.explain.targets import Score

CLASSES = (3, 1)


def layers_of(model, images):
    """Return Ā of each layer, for each image."""
    return [
        [twin.weighted_by_gradient(w, g) for w, g in zip(*layer, strict=True)]
        for layer in twin.in_the_open(model, images, CLASSES)
    ]


def close(got, expected, rtol=2e-4):
    expected = np.stack(expected)
    assert expected.max() > 0
    np.testing.assert_allclose(
        got.double().numpy(), expected, rtol=rtol, atol=rtol * expected.max()
    )


@pytest.mark.parametrize("fused", [True, False])
def test_the_row_of_the_class_token(fused):
    model, images = small("vit"), pictures(64)
    fuse(model, fused=fused)
    maps = gradient_rollout(model, images, logits_of(*CLASSES))
    layers = layers_of(model, images)
    expected = [
        twin.relevance([(layer[image], None, None) for layer in layers])[0, 1:].reshape(4, 4)
        for image in range(2)
    ]
    close(maps.values, expected)
    assert maps.kind == "positive"
    assert maps.provenance == ("recomputed" if fused else "exact")
    assert maps.site == tuple(f"blocks.{i}.attn" for i in range(3))


@pytest.mark.parametrize(
    "tokens", [{"class_token": False}, {"reg_tokens": 2}, {"class_token": False, "reg_tokens": 2}]
)
def test_the_mean_row_of_the_tokens_that_are_averaged(tokens):
    """The class token and registers of a model that averages its patches are not read."""
    model, images = small("vit", global_pool="avg", **tokens), pictures(64)
    prefix = model.num_prefix_tokens
    layers = layers_of(model, images)
    expected = [
        twin.relevance([(layer[image], None, None) for layer in layers])[prefix:, prefix:]
        .mean(0)
        .reshape(4, 4)
        for image in range(2)
    ]
    close(gradient_rollout(model, images, logits_of(*CLASSES)).values, expected)


def test_one_query_and_some_layers():
    model, images = small("vit"), pictures(64)
    maps = gradient_rollout(model, images, logits_of(*CLASSES), site="blocks.[01].attn", query=7)
    layers = layers_of(model, images)[:2]
    expected = [
        twin.relevance([(layer[image], None, None) for layer in layers])[7, 1:].reshape(4, 4)
        for image in range(2)
    ]
    close(maps.values, expected)
    assert maps.site == ("blocks.0.attn", "blocks.1.attn")


def test_in_the_midst_of_a_model_the_class_token_stands_for_all_that_is_read():
    model, images = small("vit"), pictures(64)
    score = logits_of(*CLASSES)
    auto = gradient_rollout(model, images, score, site="blocks.0.attn")
    assert torch.equal(
        auto.values, gradient_rollout(model, images, score, site="blocks.0.attn", query=0).values
    )


def test_windows_shifted_and_merged():
    model, images = windowed(), pictures(16)
    maps = gradient_rollout(model, images, logits_of(*CLASSES))
    with torch.no_grad(), capture(model) as seen:
        model(images)
    tables = [(r.query_grid.table, r.query_grid.cells) for r in seen.records]
    assert [len(table) for table, _ in tables] == [4, 4, 1]
    attention = [
        reference.windows(np.maximum(w * g, 0), table, table, cells, cells).mean(1)
        for (w, g), (table, cells) in zip(
            twin.in_the_open(model, images, CLASSES), tables, strict=True
        )
    ]
    merge = reference.area_resampling((2, 2), (4, 4))
    pools = [None, None, merge]
    expected = [
        twin.relevance([(a[image], pool, pool) for a, pool in zip(attention, pools, strict=True)])
        .mean(0)
        .reshape(4, 4)
        for image in range(2)
    ]
    close(maps.values, expected)
    assert (maps.grid.rows, maps.grid.cols, maps.grid.tokens) == (4, 4, 16)


def test_pooled_keys():
    """PVT: 16×16 queries ask 8×8 keys, then 8×8 tokens each other."""
    model, images = small("pvt"), pictures(64)
    maps = gradient_rollout(model, images, logits_of(*CLASSES))
    pool = reference.area_resampling((8, 8), (16, 16))
    first, second = layers_of(model, images)
    expected = [
        twin.relevance([(first[image], pool, None), (second[image], pool, pool)])
        .mean(0)
        .reshape(16, 16)
        for image in range(2)
    ]
    close(maps.values, expected)


def test_a_class_token_that_enters_late():
    """CaiT: patches attend to each other with heads that are mixed, then only the class token."""
    model, images = small("cait"), pictures(64)
    maps = gradient_rollout(model, images, logits_of(*CLASSES))
    entered = np.vstack([np.zeros(16), np.eye(16)])
    expected = []
    for image in range(2):
        *body, first, last = (layer[image] for layer in layers_of(model, images))
        # Only the class token's row is attention, on itself and on the patches.
        first, last = (np.vstack([row, np.zeros((16, 17))]) for row in (first, last))
        layers = [(a, None, None) for a in body]
        layers += [(first, entered, entered), (last, None, None)]
        expected.append(twin.relevance(layers)[0].reshape(4, 4))
    close(maps.values, expected)


@pytest.mark.parametrize("query", [None, 2])
def test_object_queries_ask_the_image(query):
    """DETR: the target is a class of one query, another one in each image."""
    model, images = detector(), pictures(16)
    which = torch.tensor([4, 1])

    def score_of(output, image):
        return output[torch.arange(len(image)), which[image], 3]

    maps = gradient_rollout(model, images, Score(score_of, ("a box",) * 2), query=query)
    layers = twin.multi_head_in_the_open(
        model, images, lambda output: score_of(output, torch.arange(2)).sum()
    )
    assert [w.shape[2:] for w, _ in layers] == [(16, 16)] * 2 + [(6, 6), (6, 16)] * 2
    expected = []
    for image in range(2):
        wanted = [twin.weighted_by_gradient(w[image], g[image]) for w, g in layers]
        row = which[image] if query is None else query
        expected.append(twin.of_object_queries(wanted[:2], wanted[2:])[row].reshape(4, 4))
    close(maps.values, expected)
    assert maps.site[-1] == "decoder.layers.1.multihead_attn"


def test_a_decoder_on_features_without_an_encoder():
    model, images = detector(), pictures(16)
    score = Score(lambda output, _image: output[:, 4, 3], ("a box",) * 2)
    maps = gradient_rollout(model, images, score, site="decoder.*")
    layers = twin.multi_head_in_the_open(model, images, lambda output: output[:, 4, 3].sum())[2:]
    expected = []
    for image in range(2):
        wanted = [twin.weighted_by_gradient(w[image], g[image]) for w, g in layers]
        on_image = twin.of_object_queries([np.zeros((16, 16))], wanted)
        expected.append(on_image[4].reshape(4, 4))
    close(maps.values, expected)


def test_attention_that_comes_from_frozen_parameters_alone():
    """The first attention among object queries depends on no image."""
    model, images = detector(), pictures(16)
    score = Score(lambda output, _image: output[:, 4, 3], ("a box",) * 2)
    expected = gradient_rollout(model, images, score)
    try:
        model.requires_grad_(False)
        got = gradient_rollout(model, images, score)
        assert not any(parameter.requires_grad for parameter in model.parameters())
    finally:
        model.requires_grad_(True)
    assert got.site == expected.site
    torch.testing.assert_close(got.values, expected.values)


def test_each_image_has_its_own_map():
    model, images = small("vit"), pictures(64)
    together = gradient_rollout(model, images, logits_of(*CLASSES)).values
    for image, number in enumerate(CLASSES):
        alone = gradient_rollout(model, images[image : image + 1], logits_of(number)).values
        torch.testing.assert_close(together[image : image + 1], alone, rtol=1e-4, atol=1e-8)


def test_frozen_parameters_and_nothing_left_behind():
    model, images = small("vit"), pictures(64)
    expected = gradient_rollout(model, images, logits_of(*CLASSES)).values
    assert all(parameter.grad is None for parameter in model.parameters())
    model.requires_grad_(requires_grad=False)
    with torch.no_grad():
        got = gradient_rollout(model, images, logits_of(*CLASSES)).values
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=0)
    assert not got.requires_grad
    assert not images.requires_grad
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert hooks_of(model) == 0


def test_nothing_is_left_behind_after_an_exception():
    model, images = small("vit"), pictures(64)

    def fail(*_):
        raise ZeroDivisionError

    model.blocks[1].mlp.forward = fail
    with pytest.raises(ZeroDivisionError):
        gradient_rollout(model, images, logits_of(*CLASSES))
    assert hooks_of(model) == 0
    assert not images.requires_grad
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_what_is_refused():
    model, images = small("vit"), pictures(64)
    score = logits_of(*CLASSES)
    with pytest.raises(InputError, match=r"query 17 does not exist.*has 17 tokens"):
        gradient_rollout(model, images, score, query=17)
    with pytest.raises(InputError, match="unknown site 'block'"):
        gradient_rollout(model, images, score, site="block")
    model.blocks[-1].register_forward_hook(lambda _module, _args, output: output.detach())
    with pytest.raises(
        InputError, match=r"does not depend on the attention|no gradient leads back"
    ):
        gradient_rollout(model, images, score)


def test_the_operator_keeps_its_promises():
    generator = torch.Generator().manual_seed(0)
    q, k, v, gradient = (
        torch.randn(2, 3, size, 4, dtype=torch.float64, generator=generator)
        for size in (5, 6, 6, 5)
    )
    for times_weights in (True, False):
        check_operator(GradientWeighted(SoftmaxOperator(q, k), v, gradient, times_weights), 0)
