"""A layer is found, laid out on the image, and run through without a trace."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.core.errors import InputError, MissingPackage
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.explain.layer import find_layer
from regard.explain.targets import resolve
from regard.explain.through_layer import activations, features_of, scores_with


def drawn(build, *size, images=2):
    with seeded(0):
        return build().eval(), torch.randn(images, 3, *size)


def layer_of(model, images, site="auto", target=None):
    return find_layer(model, images, score_of(model, images, target), site)


def score_of(model, images, target=None):
    with torch.no_grad():
        return resolve(target, model(images))


def no_hooks(model):
    return not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Convolutional(nn.Module):
    """Two stages, of which the second halves the map; ReLUs write into what they get."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, s, 1), nn.ReLU(inplace=True))
            for a, b, s in [(3, 4, 2), (4, 6, 2)]
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.head(x)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        q, k, v = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, self.norm(k), v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), Attention()
        self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU())

    def forward(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.mlp(x)


class Tokens(nn.Module):
    """Patches of 4×4 pixels and a class token that the head reads, or none and their mean."""

    def __init__(self, prefix=1):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.prefix = nn.Parameter(torch.randn(1, prefix, 8))
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.prefix.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 0] if self.prefix.shape[1] else x.mean(1))


class ChannelsLast(nn.Module):
    """Maps as (batch, row, col, channel), as Swin has them."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.stage = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 6), nn.GELU())
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.stage(self.patches(x).movedim(1, -1)).mean((1, 2)))


def test_the_last_stage_of_a_convolutional_network():
    model, images = drawn(Convolutional, 24, 40)
    layer = layer_of(model, images)
    assert (layer.name, layer.form) == ("stages.1", "channels first")
    assert (layer.grid.rows, layer.grid.cols, layer.grid.cell) == (6, 10, (4, 4))


def test_what_goes_into_the_last_attention_where_the_class_token_is_read():
    model, images = drawn(Tokens, 24, 40)
    layer = layer_of(model, images)
    # After it, the head depends on the class token alone.
    assert (layer.name, layer.form) == ("blocks.1.norm", "tokens")
    assert (layer.grid.rows, layer.grid.cols, layer.grid.prefix) == (6, 10, 1)


class OverPositions(nn.Module):
    """Self-attention among all cells of a map."""

    def forward(self, x):
        cells = x.flatten(2).mT[:, None]
        mixed = F.scaled_dot_product_attention(cells, cells, cells)
        return x + mixed[:, 0].mT.unflatten(2, x.shape[2:])


class Gated(nn.Module):
    def forward(self, x):
        return x * x.mean((2, 3), keepdim=True).sigmoid()


def staged(*parts):
    """A network of one stage, which begins with a convolution."""
    stage = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), *parts)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    return nn.Sequential(OrderedDict(stage=stage, head=head))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((nn.ReLU(), OverPositions()), "stage.1"),
        ((OverPositions(),), "stage.0"),
        ((nn.Sequential(OverPositions(), nn.Conv2d(8, 8, 1)),), "stage.0"),
        ((nn.ReLU(), Gated()), "stage"),
        ((OverPositions(), nn.ReLU()), "stage"),
        ((nn.ReLU(), nn.Sequential(OverPositions(), nn.Conv2d(8, 8, 3, padding=1))), "stage"),
    ],
    ids=["attention", "alone", "with 1×1", "gate", "inside", "with 3×3"],
)
def test_what_goes_into_the_attention_that_a_stage_of_a_cnn_ends_in(parts, expected):
    assert layer_of(*drawn(lambda: staged(*parts), 16, 16)).name == expected


def test_parts_of_an_attention_are_no_maps():
    """Keys are (batch, head, 5 tokens, 4 channels) here, which could be 5×4 cells."""
    model, images = drawn(Tokens, 8, 8)
    layer = layer_of(model, images)
    assert (layer.name, layer.grid.rows, layer.grid.cols) == ("blocks.1.norm", 2, 2)


def test_the_last_tokens_where_their_mean_is_read():
    model, images = drawn(lambda: Tokens(0), 24, 40)
    layer = layer_of(model, images)
    assert (layer.name, layer.grid.prefix) == ("norm", 0)


def test_maps_with_channels_last():
    model, images = drawn(ChannelsLast, 24, 40)
    layer = layer_of(model, images)
    assert (layer.name, layer.form) == ("stage", "channels last")
    assert (layer.grid.rows, layer.grid.cols) == (6, 10)
    found = features_of(model, images, layer)
    torch.testing.assert_close(
        found, model.stage(model.patches(images).movedim(1, -1)).movedim(-1, 1)
    )


@pytest.mark.parametrize(
    ("name", "options", "pixels", "expected"),
    [
        ("resnet18", {}, 64, "layer4"),
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2}, 64, "blocks.1.norm1"),
        (
            "swin_tiny_patch4_window7_224",
            {
                "img_size": 64,
                "depths": (1, 1),
                "num_heads": (2, 2),
                "embed_dim": 8,
                "window_size": 4,
            },
            64,
            "norm",
        ),
    ],
)
def test_networks_of_timm(name, options, pixels, expected):
    try:
        timm = require("timm", extra="zoo")
    except MissingPackage as error:
        pytest.skip(str(error))
    model, images = drawn(lambda: timm.create_model(name, **options), pixels, pixels, images=1)
    layer = layer_of(model, images)
    assert layer.name == expected
    assert activations(model, images, score_of(model, images), layer).gradient.any()


def test_the_user_chooses_by_name_glob_or_module():
    model, images = drawn(Convolutional, 24, 40)
    by_name, by_module = (layer_of(model, images, site) for site in ("stages.0.0", model.stages[0]))
    assert by_name.module is model.stages[0][0]
    assert by_module.name == "stages.0"
    assert (by_name.grid.rows, by_name.grid.cols) == (12, 20)
    assert layer_of(model, images, "stages.?").name == "stages.1", "the last that matches"
    assert layer_of(model, images, "stages.*.0").name == "stages.1.0"
    tokens, images = drawn(Tokens, 24, 40)
    inside = layer_of(tokens, images, "blocks.0.attention.project")
    assert features_of(tokens, images, inside).shape == (2, 24, 6, 10)


def test_sizes_and_targets_do_not_mix():
    model, images = drawn(Convolutional, 24, 40)
    assert layer_of(model, images).grid.rows == 6
    other = torch.randn(1, 3, 48, 40)
    assert layer_of(model, other).grid.rows == 12
    model.stages.append(nn.Conv2d(6, 6, 1))
    model.stages[1] = nn.Conv2d(4, 6, 1)
    assert layer_of(model, images).name == "stages.2", "the layer known before is gone"


def test_what_cannot_be_explained_is_refused():
    model, images = drawn(Convolutional, 24, 40)
    with pytest.raises(InputError, match=r"unknown layer 'stage.1'; did you mean .*stages.1"):
        layer_of(model, images, "stage.1")
    with pytest.raises(InputError, match="unknown layer 'Conv2d'"):
        layer_of(model, images, nn.Conv2d(3, 3, 1))
    with pytest.raises(InputError, match="lies on the image as a map; choose another site="):
        layer_of(model, images, "head.0")
    flat, images = drawn(lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), 4, 4)
    with pytest.raises(InputError, match="no layer of Sequential lies on the image"):
        layer_of(flat, images)


class Beside(nn.Module):
    """Its side branch is no part of what it returns."""

    def __init__(self):
        super().__init__()
        self.side, self.main = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x):
        self.side(x)
        return self.main(x).mean((2, 3))


def test_a_layer_that_the_target_does_not_depend_on():
    model, images = drawn(Beside, 8, 8)
    assert layer_of(model, images).name == "main"
    chosen = layer_of(model, images, "side")
    with pytest.raises(InputError, match="the target does not depend on layer 'side'"):
        activations(model, images, score_of(model, images), chosen)


def test_a_layer_that_does_not_run():
    model, images = drawn(Beside, 8, 8)
    layer, score = layer_of(model, images, "main"), score_of(model, images)
    model.forward = lambda x: model.side(x).mean((2, 3))
    with pytest.raises(InputError, match="layer 'main' did not run"):
        features_of(model, images, layer)
    with pytest.raises(InputError, match="layer 'main' did not run"):
        activations(model, images, score, layer)


@pytest.mark.parametrize("prefix", [0, 1, 3])
def test_tokens_lie_where_their_patches_are(prefix):
    model, images = drawn(lambda: Tokens(prefix), 24, 40, images=1)
    layer = layer_of(model, images, "blocks.0.norm")
    lit = images.clone()
    lit[:, :, 4 * 2 : 4 * 3, 4 * 7 : 4 * 8] += 1
    changed = (features_of(model, lit, layer) - features_of(model, images, layer)).abs().amax(1)
    assert (changed[0] > 1e-6).nonzero().tolist() == [[2, 7]]


@pytest.mark.parametrize("prefix", [0, 2])
def test_tokens_without_a_place_stay_as_they_are(prefix):
    model, images = drawn(lambda: Tokens(prefix), 24, 40, images=1)
    layer = layer_of(model, images, "blocks.0.norm")
    output = torch.arange(8.0 * (prefix + 60)).view(1, prefix + 60, 8)
    on_map = layer.to_map(output)
    assert on_map[0, 3, 2, 7] == output[0, prefix + 2 * 10 + 7, 3]
    torch.testing.assert_close(layer.from_map(on_map, output), output)
    several = layer.from_map(torch.zeros(4, 8, 6, 10), output)
    torch.testing.assert_close(several[:, :prefix], output[:, :prefix].expand(4, -1, -1))
    assert not several[:, prefix:].any()


def test_what_the_model_writes_into_is_kept_as_it_was():
    model, images = drawn(Convolutional, 24, 40)
    layer, score = layer_of(model, images, "stages.1.0"), score_of(model, images, 1)
    before = model.stages[1][0](model.stages[0](images)).detach()
    assert before.min() < 0, "the ReLU that follows would change it"
    torch.testing.assert_close(features_of(model, images, layer), before)
    found = activations(model, images, score, layer)
    torch.testing.assert_close(found.features, before)
    leaf = before.clone().requires_grad_()
    scores = model.head(leaf.relu())[:, 1]
    (gradient,) = torch.autograd.grad(scores.sum(), leaf)
    torch.testing.assert_close(found.gradient, gradient)
    copies = scores_with(model, images[:1], score, 0, layer, lambda out: out.repeat(2, 1, 1, 1))
    torch.testing.assert_close(copies, scores[:1].detach().expand(2))


def test_nothing_is_kept_for_a_backward_pass_below_the_layer():
    model, images = drawn(Convolutional, 24, 40)
    layer, score = layer_of(model, images), score_of(model, images)
    recorded = []
    hooks = [
        module.register_forward_hook(
            lambda m, _args, output: recorded.append((m, output.grad_fn is not None))
        )
        for module in (*model.stages, model.head)
    ]
    activations(model, images.clone().requires_grad_(), score, layer)
    for hook in hooks:
        hook.remove()
    # The hook that watches runs after the one that parts at the layer.
    assert recorded[0] == (model.stages[0], False)
    assert recorded[-1] == (model.head, True)
    assert torch.is_grad_enabled()
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("build", [Convolutional, Tokens])
def test_no_hook_survives_an_exception(build):
    model, images = drawn(build, 24, 40)
    layer, score = layer_of(model, images), score_of(model, images)

    def fails(*_arguments):
        raise ZeroDivisionError

    failing = score_of(model, images, lambda out: out[:, 0])
    object.__setattr__(failing, "of", fails)
    model.head.register_forward_hook(fails)
    for run in (
        lambda: find_layer(model, images, score, "*"),
        lambda: features_of(model, images, layer),
        lambda: activations(model, images, score, layer),
        lambda: scores_with(model, images[:1], score, 0, layer, lambda out: out),
    ):
        with pytest.raises(ZeroDivisionError):
            run()
        assert len(model.head._forward_hooks) == 1
        model_hooks = dict(model.head._forward_hooks)
        model.head._forward_hooks.clear()
        assert no_hooks(model)
        model.head._forward_hooks.update(model_hooks)
        assert torch.is_grad_enabled()
    model.head._forward_hooks.clear()
    for run in (
        lambda: find_layer(model, images, failing, "*"),
        lambda: activations(model, images, failing, layer),
    ):
        with pytest.raises(ZeroDivisionError):
            run()
        assert no_hooks(model)
        assert torch.is_grad_enabled()


class Paired(nn.Module):
    """Returns a tuple, as blocks that also return their attention do."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x):
        return self.convolution(x), "more"


class OfPairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = Paired()

    def forward(self, x):
        output, more = self.pair(x)
        assert more == "more"
        return output.mean((2, 3))


def test_a_layer_that_returns_a_tuple():
    model, images = drawn(OfPairs, 8, 8)
    layer, score = layer_of(model, images), score_of(model, images)
    assert layer.name == "pair"
    found = activations(model, images, score, layer)
    assert found.features.shape == (2, 4, 4, 4)
    assert scores_with(model, images[:1], score, 0, layer, lambda out: 0 * out) == 0
