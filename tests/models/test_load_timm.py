"""timm's models: preprocessing and labels as timm has them, weights of timm or of a file."""

import pytest
import torch
from safetensors.torch import save_file
from tests.models.photos import levels_apart, photo

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.models.load import load
from regard.models.timm_models import timm_preprocessing

SMALL = "vit_tiny_patch16_224(img_size=32, depth=1, embed_dim=24, num_heads=2)"
KWARGS = {"img_size": 32, "depth": 1, "embed_dim": 24, "num_heads": 2}


@pytest.fixture(scope="module")
def timm():
    return require("timm", extra="zoo")


@pytest.fixture
def cached(timm, monkeypatch):
    """timm as if it had every model's weights: the architecture's first, random ones."""
    create = timm.create_model

    def random_weights(name, pretrained=False, **options):
        with seeded(1):
            return create(name, **options)

    monkeypatch.setattr(timm, "create_model", random_weights)


def small(timm, **kwargs):
    with seeded(0):
        return timm.create_model("vit_tiny_patch16_224", **KWARGS, **kwargs).eval()


def saved(tmp_path, network):
    save_file(network.state_dict(), tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


def test_labels_and_task_are_timm_s(cached):
    model = load("timm:test_vit.r160_in1k")
    assert (model.name, model.task) == ("timm:test_vit.r160_in1k", "classify")
    assert (len(model.labels), model.labels[0]) == (1000, "tench, Tinca tinca")
    assert not model.training
    assert model.assumed == ()


def test_preprocessing_is_timm_s(cached):
    data = require("timm.data", extra="zoo")
    model = load("timm:test_vit.r160_in1k")
    config = data.resolve_model_data_config(model.network)
    picture = photo(500, 333)
    theirs = data.create_transform(**config)(picture)[None]
    most, mean = levels_apart(model.preprocessing, model.prepare(picture), theirs)
    assert most < 2.01
    assert mean < 0.25


def test_a_size_that_is_asked_for_is_the_preprocessing_s(cached):
    model = load("timm:test_vit.r160_in1k(img_size=64)")
    assert model.preprocessing.size == (64, 64)
    with torch.no_grad():
        assert model(model.prepare(photo(90, 70))).shape == (1, 1000)


def test_a_backbone_gives_features(cached):
    model = load("timm:vit_small_patch14_dinov2(img_size=28, depth=1)")
    assert (model.task, model.labels) == ("features", ())


def test_every_pretrained_configuration_is_understood(timm):
    data = require("timm.data", extra="zoo")
    squashed, said = 0, set()
    for name in timm.list_pretrained():
        config = data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
        preprocessing, assumed = timm_preprocessing(config)
        said.update(assumed)
        squashed += preprocessing.resize == "squash" and preprocessing.crop_fraction < 1
    assert squashed > 5  # scaled on both sides, and cropped as well
    assert all("here they are cropped" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_mode": "border"}, "timm pads pictures to a square for this model"),
        ({"crop_pct": 1.15}, "timm pads pictures with black for this model"),
        ({"interpolation": "random"}, "timm scales pictures by 'random' for this model; here"),
    ],
)
def test_what_cannot_be_done_alike_is_said(changes, message):
    config = require("timm.data", extra="zoo").resolve_data_config(pretrained_cfg={"a": 1})
    preprocessing, (said,) = timm_preprocessing({**config, **changes})
    assert said.startswith(message)
    assert preprocessing.fit(photo(50, 40)).size == (224, 224)


@pytest.mark.parametrize("classes", [5, 1000, 0])
def test_a_file_s_weights_head_and_labels(timm, tmp_path, classes):
    original = small(timm, num_classes=classes)
    model = load(f"timm:{SMALL}@{saved(tmp_path, original)}")
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(images), original(images))
    assert model.name == "timm:vit_tiny_patch16_224@x.safetensors"
    assert model.task == ("classify" if classes else "features")
    assert len(model.labels) == classes
    assert "images are prepared as for the weights that timm has for it" in model.assumed
    about_classes = [said for said in model.assumed if "classes" in said]
    expected = {
        5: ["the weights file does not name its classes; they are numbered"],
        1000: ["the 1000 classes are taken to be those of the weights that timm has for it"],
        0: [],
    }
    assert about_classes == expected[classes]
    if classes == 5:
        assert model.labels == tuple("01234")


def test_the_wrong_architecture_is_told_by_its_tensors(timm, tmp_path):
    path = saved(tmp_path, small(timm))
    message = r"does not fit timm:resnet10t: it lacks conv1\.0\.weight.*; it has besides blocks"
    with pytest.raises(InputError, match=message):
        load(f"timm:resnet10t@{path}")


def test_without_cache_and_network_there_is_a_way_out():
    with pytest.raises(InputError, match=r"neither cached nor to be had .* connect once") as caught:
        load("timm:test_vit.r160_in1k")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("timm:resnet19", "unknown timm model 'resnet19'; did you mean resnet18"),
        ("timm:qqqq", r"unknown timm model 'qqqq'; the nearest of \d+ are: \w+, \w+, \w+$"),
        ("timm:resnet18(depth=3)", "timm:resnet18: .*'depth'"),
        ("timm:resnet18(pretrained=False)", "timm:resnet18 takes no 'pretrained' here"),
        ("timm:resnet18(num_classes=3)", "takes no 'num_classes' here; leave it out"),
        ("timm:resnet18(checkpoint_path='x.pt')", "takes no 'checkpoint_path' here"),
    ],
)
def test_bad_input_gets_one_line(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        load(spec)
    assert len(str(caught.value)) < 1500
