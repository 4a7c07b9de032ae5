"""Segmentation networks: what they are made of, and that attention and gates are seen."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import regard
from regard.attention import AttentionGate
from regard.core.errors import InputError, MissingPackage
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.models.build import NetworkSpec, build
from regard.models.registry import segmenters
from regard.models.segment.encoder import LITE0, fill_pretrained, make_encoder

SMALL = {
    "unet": {"encoder": "plain(width=4, levels=3)", "width": 4},
    "attention_unet": {"encoder": "plain(width=4, levels=3)", "width": 4},
    "fcn": {"encoder": "plain(width=2)", "width": 8},
}


def made(name, attention=None, classes=3, **options):
    given = {**SMALL.get(name, {}), **options}
    return build(NetworkSpec(name, classes, attention, given), seed=1, task="segment")


def images(height=50, width=37):
    with seeded(0):
        return torch.randn(2, 3, height, width)


@pytest.mark.parametrize("name", list(SMALL))
@pytest.mark.parametrize("attention", [None, "squeeze_excite", "scaled_dot_product"])
def test_every_network_learns_at_any_size(name, attention):
    model = made(name, attention).train()
    logits = model(images())
    assert logits.shape == (2, 3, 50, 37)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", list(SMALL))
def test_each_network_is_registered_for_its_task_alone(name):
    assert segmenters[name].task == "segment"
    with pytest.raises(InputError, match="unknown model"):
        build(NetworkSpec(name, 3))
    with pytest.raises(InputError, match="unknown segmenter"):
        made("resnet20")


@pytest.mark.parametrize("name", list(SMALL))
def test_variants_of_a_seed_share_the_first_weights(name):
    plain, attending = made(name).state_dict(), made(name, "eca").state_dict()
    assert len(attending) > len(plain)
    assert all(torch.equal(plain[key], attending[key]) for key in plain)


def test_unet_s_default_place_for_gates_is_every_decoder_block():
    model = made("unet", "eca")
    found = [name for name, m in model.named_modules() if type(m).__name__ == "ECA"]
    assert [name.split(".")[:2] for name in found] == [["decoder", "0"], ["decoder", "1"]]


def test_a_skip_connection_carries_the_finest_map():
    """With the coarse path cut, U-Net still tells pixels apart; without skips it cannot."""
    model = made("unet")
    x = images(32, 32)
    with torch.no_grad():
        whole = model(x)
        model.encoder.levels[0].register_forward_hook(lambda *_: torch.zeros(2, 4, 32, 32))
        without = model(x)
    assert whole.flatten(2).std(2).min() > 0
    assert not torch.allclose(whole, without)


def test_the_gates_of_attention_unet_are_seen_and_are_what_multiplies_the_skips():
    model = made("attention_unet", encoder="plain(width=4, levels=4)")
    gates = [m for m in model.modules() if isinstance(m, AttentionGate)]
    assert len(gates) == 2  # the finest of three skip connections has none
    inputs = []
    hook = gates[-1].register_forward_hook(lambda _m, args, out: inputs.append((args[0], out)))
    with regard.capture(model) as seen, torch.no_grad():
        model(images(32, 48))
    hook.remove()
    found = {name: record for name, record in seen.items() if record.kind == "gate"}
    assert len(found) == 2
    assert all(name.startswith(f"decoder.{i}.gate") for i, name in enumerate(found))
    (skip, gated) = inputs[0]
    tensors = list(found.values())[-1].tensors
    torch.testing.assert_close(tensors.value, skip)
    torch.testing.assert_close(tensors.output, gated)
    assert tensors.weights.shape == (2, 1, 16, 24)
    torch.testing.assert_close(skip * tensors.weights, gated)


def test_attention_unet_with_open_gates_is_a_unet():
    """σ → 1 lets every skip connection through: then the two networks are one function."""
    gated, plain = made("attention_unet"), made("unet")
    own = {k: v for k, v in gated.state_dict().items() if ".gate." not in k}
    plain.load_state_dict(own)
    for module in gated.modules():
        if isinstance(module, AttentionGate):
            nn.init.zeros_(module.score.weight)
            nn.init.constant_(module.score.bias, 40.0)
    with torch.no_grad():
        torch.testing.assert_close(gated(images()), plain(images()))


@pytest.mark.parametrize(("stride", "scored"), [(32, 1), (16, 2), (8, 3)])
def test_fcn_starts_as_its_coarsest_scores(stride, scored):
    """The scores that FCN-16s and 8s add start at zero (Long et al., section 4.2)."""
    model = made("fcn", stride=stride)
    assert len(model.score) == scored
    x = images(64, 96)
    with torch.no_grad():
        coarse = model.score[0](model.context(model.encoder(x)[-1]))
        for index in model.at[1:]:
            size = model.encoder(x)[index].shape[2:]
            coarse = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
        expected = F.interpolate(coarse, (64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(model(x), expected)
        if scored > 1:
            nn.init.ones_(model.score[1].weight)
            assert not torch.allclose(model(x), expected)


def test_fcn_refuses_an_encoder_without_the_stride():
    with pytest.raises(InputError, match=r"FCN-8s needs a map of stride 32, .* 1, 2, 4"):
        made("fcn", encoder="resnet8(width=2)")
    with pytest.raises(InputError, match="stride=4"):
        made("fcn", stride=4)


@pytest.mark.parametrize(
    ("word", "strides"),
    [
        ("plain(width=2, levels=3)", (1, 2, 4)),
        ("resnet8(width=2)", (1, 2, 4)),
        ("resnet18(width=2)", (4, 8, 16, 32)),
        (LITE0, (2, 4, 8, 16, 32)),
    ],
)
def test_encoders_say_the_truth_about_their_maps(word, strides):
    encoder = make_encoder(word).eval()
    assert encoder.strides == strides
    with torch.no_grad():
        maps = encoder(images(64, 96))
    assert tuple(m.shape[1] for m in maps) == encoder.channels
    assert [m.shape[2:] for m in maps] == [(64 // s, 96 // s) for s in strides]


def test_timm_s_encoders_work_too():
    require("timm", extra="zoo")
    model = made("unet", encoder="timm:resnet10t", width=4)
    assert model(images(64, 64)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("resnet21", "did you mean resnet2"),
        ("plain(depth=3)", "unexpected keyword argument 'depth'"),
        ("plain(levels=1)", "2 levels"),
    ],
)
def test_encoders_that_do_not_exist_are_refused(word, message):
    with pytest.raises(InputError, match=message):
        made("unet", encoder=word)


def test_the_pretrained_encoder_is_the_classifier_s(monkeypatch):
    """Its maps are those inside of the ImageNet classifier of the photo extra."""
    photo = pytest.importorskip("regard.models.photo")
    try:
        network = photo.efficientnet_lite0().network
    except MissingPackage as error:
        pytest.skip(str(error))
    model = made("unet", attention="eca@encoder.body.blocks.5", encoder=LITE0, width=2)
    mean, std = fill_pretrained(model.encoder, LITE0)
    assert (mean, std) == (photo.LITE_MEAN, photo.LITE_STD)
    taken = []
    network.blocks[4].register_forward_hook(lambda _m, _a, out: taken.append(out))
    x = images(64, 64)
    with torch.no_grad():
        network(x)
        torch.testing.assert_close(model.encoder(x)[3], taken[0], rtol=1e-4, atol=1e-4)


def test_an_encoder_without_weights_to_be_had_says_so():
    with pytest.raises(InputError, match="has no pretrained weights; choose photo:"):
        fill_pretrained(make_encoder("resnet8(width=2)"), "resnet8(width=2)")
