"""Detectors and segmenters of every kind are seen with a verdict, at a layer that tells where."""

import pytest
import torch
from tests.models.detect.tiny import learned, pictures, tiny
from torch import nn

import regard
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.core.verdict import LEVELS
from regard.models import NetworkSpec, VisionModel, build
from regard.models.detect.detector import Selection
from regard.models.preprocessing import Preprocessing

IMAGES, TRUTH = pictures(1)
SQUARE = tuple(TRUTH[0]["boxes"][0].int().tolist())


def wrapped(network, task, labels=("bright", "dark")):
    sized = Preprocessing((64, 64), (0.5,) * 3, (0.25,) * 3)
    return VisionModel(network, name="tiny", preprocessing=sized, labels=labels, task=task)


def segmenter(name, attention="none"):
    options = {"fcn": {"encoder": "plain(width=4)", "width": 8}}.get(name, {"width": 4})
    spec = NetworkSpec(name, 3, attention, options)
    return wrapped(build(spec, task="segment"), "segment", ("background", "bright", "dark"))


def in_square(found):
    left, top, right, bottom = SQUARE
    values = found.map.clip(min=0)
    return values[top:bottom, left:right].sum() / values.sum()


def test_a_detector_that_has_learned_is_seen_where_its_box_is():
    model = wrapped(learned("retinanet"), "detect")
    found = regard.see(model, IMAGES, target="bright")
    assert found.target.startswith("bright at (")
    assert found.method == "grad_cam"
    assert found.site[0].startswith("network.neck")
    assert found.verdict.level in LEVELS
    assert "weight_randomisation" in {m.metric for m in found.verdict.measurements}
    share = (SQUARE[2] - SQUARE[0]) * (SQUARE[3] - SQUARE[1]) / 64**2
    seen = regard.see(model, IMAGES, target="bright", method="input_x_gradient", check=False)
    assert in_square(seen) > 2 * share


@pytest.mark.parametrize("name", ["retinanet", "yolo", "faster_rcnn"])
@pytest.mark.parametrize("method", ["layer_cam", "saliency"])
def test_any_method_explains_a_box_of_random_weights(name, method):
    network = tiny(name)
    network.selection = Selection(score=0.0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    found = regard.see(wrapped(network, "detect"), IMAGES, method=method, check=False)
    assert found.outline.any()
    assert abs(found.values).max() > 0
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "site"),
    [("unet", "bottom"), ("attention_unet", "bottom"), ("fcn", "context")],
)
def test_a_segmenter_is_seen_at_its_coarsest_maps(name, site):
    found = regard.see(segmenter(name), IMAGES)
    assert found.method == "grad_cam"
    assert found.site == (f"network.{site}",)
    assert found.target.startswith("the mask of ")
    assert found.verdict.level in LEVELS


def test_transformers_detectors_are_seen():
    transformers = require("transformers", extra="zoo")
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "d_model": 16}
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], out_features=["stage2"],
        layer_type="basic",
    )  # fmt: skip
    config = transformers.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=backbone, num_queries=4, num_labels=2, **sizes, **heads,
    )  # fmt: skip
    with seeded(0):
        model = wrapped(transformers.DetrForObjectDetection(config).eval(), "detect")
    for method in ("grad_cam", "saliency"):
        found = regard.see(model, IMAGES, method=method, check=False)
        assert "%" in found.target
        assert found.outline.any()
        assert abs(found.values).max() > 0
    drawn = regard.see(model, IMAGES, target="dark@0,0,32,64", method="saliency", check=False)
    assert drawn.target == "dark at (0%, 0%, 50%, 100%)"


class Listed(nn.Module):
    """As torchvision's detectors: boxes, scores and labels alone, from 1 on."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.body = nn.Conv2d(3, 4, 3, 2, padding=1)

    def forward(self, images):
        rows = []
        for one in self.body(images).relu():
            sure = torch.sigmoid(one[:, 4:16, 4:16].mean((1, 2)))[:2]
            boxes = torch.tensor([[8.0, 8, 32, 32], [30, 36, 58, 60]])
            rows.append({"boxes": boxes, "scores": sure, "labels": torch.tensor([1, 2])})
        return rows


def test_lists_of_torchvision_s_kind_are_seen():
    model = wrapped(Listed().eval(), "detect", ("__background__", "bright", "dark"))
    for method in ("grad_cam", "saliency"):
        found = regard.see(model, IMAGES, target="dark", method=method)
        assert found.target == "dark at (30, 36, 58, 60)"
        assert found.verdict.level in LEVELS


@pytest.mark.parametrize(
    ("model", "sites", "answer"),
    [
        (segmenter("attention_unet"), 3, "pixels"),
        (wrapped(tiny("retinanet", attention="cross@neck"), "detect"), 2, "boxes"),
    ],
)
def test_a_walk_shows_where_the_gates_of_each_scale_looked(model, sites, answer):
    found = regard.walk(model, IMAGES)
    assert len(found.sites) == sites
    assert found.answer == answer
    assert len(found.probabilities) == len(found.labels) == len(model.labels)
    sizes = {site.size for site in found.sites if hasattr(site, "size")}
    assert len(sizes) in (0, sites)
