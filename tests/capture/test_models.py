"""Models of other libraries, as they are: random weights, small inputs."""

import pytest
import torch

from regard.capture import capture
from regard.core.errors import MissingPackage, NothingCaptured
from regard.core.packages import require
from regard.core.seeding import seeded


def package(name):
    try:
        return require(name, extra="zoo")
    except MissingPackage as error:
        pytest.skip(str(error))


def run(model, x):
    """Capture a forward pass in eval mode, and check that it is exact and unchanged."""
    model.eval()
    with torch.no_grad():
        expected = model(x)
        with capture(model) as seen:
            output = model(x)
    if isinstance(output, torch.Tensor):
        assert torch.equal(output, expected)
    assert max(seen.verify().values()) <= 1e-5
    return seen, output


def dinov2(attention):
    transformers = package("transformers")
    config = transformers.Dinov2Config(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=70,
        patch_size=14,
        attn_implementation=attention,
    )
    with seeded(0):
        return transformers.Dinov2Model(config).eval()


def test_dinov2_fused_equals_its_own_eager_weights():
    x = torch.randn(2, 3, 70, 70, generator=torch.Generator().manual_seed(0))
    seen, _ = run(dinov2("sdpa"), x)
    with torch.no_grad():
        eager = dinov2("eager")(x, output_attentions=True).attentions
    assert len(seen) == len(eager) == 3
    for record, theirs in zip(seen.values(), eager, strict=True):
        assert (record.operator.dense() - theirs).abs().max() <= 1e-6
        assert (record.grid.rows, record.grid.cols, record.grid.prefix) == (5, 5, 1)


def test_vision_transformer_of_timm():
    timm = package("timm")
    with seeded(0):
        model = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3)
    seen, _ = run(model, torch.randn(2, 3, 64, 64))
    assert list(seen) == [f"blocks.{i}.attn" for i in range(3)]
    for record in seen.values():
        assert record.operator.shape == (2, 3, 17, 17)
        assert (record.grid.rows, record.grid.cols, record.grid.prefix) == (4, 4, 1)


@pytest.mark.parametrize(
    ("name", "gates"), [("seresnet50", 16), ("efficientnet_b0", 16), ("mobilenetv3_small_050", 9)]
)
def test_gates_of_timm(name, gates):
    timm = package("timm")
    with seeded(0):
        model = timm.create_model(name)
    seen, _ = run(model, torch.randn(1, 3, 64, 64))
    assert len(seen) == gates
    for site, record in seen.items():
        assert record.kind == "gate"
        assert site.endswith(".se")
        assert record.gate.shape == (*record.tensors.value.shape[:2], 1, 1)
        assert (record.grid is None) == (record.tensors.value.shape[2] == 1)


def test_models_of_torchvision():
    models = package("torchvision.models")
    with seeded(0):
        gated, windowed = models.mobilenet_v3_small(), models.swin_t()
    seen, _ = run(gated, torch.randn(1, 3, 64, 64))
    assert len(seen) == 9
    seen, _ = run(windowed, torch.randn(1, 3, 64, 64))
    assert len(seen) == 12
    assert {record.provenance for record in seen.values()} == {"exact"}


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "mobilenetv2_050"])
def test_networks_without_attention_have_none(name):
    timm = package("timm")
    model = timm.create_model(name).eval()
    with pytest.raises(NothingCaptured, match=r"the model contains .*Conv2d"), capture(model):
        model(torch.randn(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("name", "channels"), [("xcit_nano_12_p8_224", 12), ("davit_tiny", 6), ("edgenext_xx_small", 3)]
)
def test_attention_over_channels_says_so(name, channels):
    timm = package("timm")
    options = {"img_size": 64} if name.startswith("xcit") else {}
    with seeded(0):
        model = timm.create_model(name, **options)
    seen, _ = run(model, torch.randn(1, 3, 64, 64))
    over = [record for record in seen.values() if record.mixes == "channels"]
    assert len(over) == channels
    for record in over:
        _, _heads, queries, keys = record.operator.shape
        assert queries == keys == record.tensors.value.shape[2]
        assert (record.query_grid, record.key_grid) == (None, None)


def test_both_softmaxes_of_a_convit_layer_are_one_attention():
    timm = package("timm")
    with seeded(0):
        model = timm.create_model("convit_tiny", img_size=64)
    seen, _ = run(model, torch.randn(1, 3, 64, 64))
    assert len(seen) == 12
    assert seen["blocks.0.attn"].tensors.scores is None


def test_the_fused_encoder_of_torch_is_captured_on_its_ordinary_path():
    """In eval mode the fused one would run; without gradients it rounds a little differently."""
    with seeded(0):
        layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        model = torch.nn.TransformerEncoder(layer, 2).eval()
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        fused = model(x)
        with capture(model) as seen:
            output = model(x)
    with torch.enable_grad():  # here the ordinary path is the model's own choice
        ordinary = model(x)
    assert torch.equal(output, ordinary)
    torch.testing.assert_close(output, fused)
    assert list(seen) == ["layers.0.self_attn", "layers.1.self_attn"]
    assert torch.backends.mha.get_fastpath_enabled()
