"""torchvision's models: preprocessing and labels of its weights; the weights are a file's here."""

import pickle
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.models.load import load


@pytest.fixture(scope="module")
def models():
    return require("torchvision.models", extra="zoo")


@pytest.fixture
def offline(monkeypatch):
    def refuse(url, **_):
        raise URLError(f"no route to {url}")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


@pytest.fixture
def whole(monkeypatch):
    """torchvision as if its compiled operators fitted this torch."""
    monkeypatch.setattr(require("torchvision.extension", extra="zoo"), "_has_ops", lambda: True)


def saved(tmp_path, network):
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_file(tensors, tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


def made(models, name, **kwargs):
    with seeded(0):
        return models.get_model(name, weights=None, **kwargs).eval()


@pytest.mark.parametrize("classes", [4, 1000])
def test_a_classifier_with_a_file(models, tmp_path, classes):
    original = made(models, "shufflenet_v2_x0_5", num_classes=classes)
    model = load(f"torchvision:shufflenet_v2_x0_5@{saved(tmp_path, original)}")
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(images), original(images))
    assert (model.task, len(model.labels)) == ("classify", classes)
    assert model.labels[0] == ("tench" if classes == 1000 else "0")
    words = "taken to be those of torchvision's" if classes == 1000 else "they are numbered"
    assert any(words in said for said in model.assumed)


def test_preprocessing_is_that_of_the_weights_that_are_named(models, tmp_path):
    path = saved(tmp_path, made(models, "mobilenet_v2", num_classes=2))
    first = load(f"torchvision:mobilenet_v2.IMAGENET1K_V1@{path}").preprocessing
    second = load(f"torchvision:mobilenet_v2@{path}").preprocessing
    assert (first.size, first.crop_fraction) == ((224, 224), 224 / 256)
    assert (second.size, second.crop_fraction) == ((224, 224), 224 / 232)
    assert second.interpolation == "bilinear"


def test_a_segmenter_gives_a_dictionary_and_says_how_it_scales(models, tmp_path):
    original = made(models, "lraspp_mobilenet_v3_large", num_classes=4, weights_backbone=None)
    model = load(f"torchvision:lraspp_mobilenet_v3_large@{saved(tmp_path, original)}")
    with torch.no_grad():
        output = model(torch.zeros(1, 3, 64, 64))
    assert output["out"].shape == (1, 4, 64, 64)
    assert (model.task, model.labels) == ("segment", tuple("0123"))
    assert model.preprocessing.size == (520, 520)
    assert any("520 pixels on the shorter side" in said for said in model.assumed)


def test_a_detector_is_given_its_images_unnormalised(models, tmp_path, whole):
    name = "ssdlite320_mobilenet_v3_large"
    original = made(models, name, num_classes=3, weights_backbone=None)
    model = load(f"torchvision:{name}@{saved(tmp_path, original)}")
    assert (model.task, len(model.labels)) == ("detect", 3)
    preprocessing = model.preprocessing
    assert (preprocessing.size, preprocessing.resize) == ((320, 320), "squash")
    images = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(preprocessing.normalise(images), images)
    assert any("the detector scales images itself, to 320×320" in s for s in model.assumed)


def test_without_compiled_operators_a_detector_is_refused_at_once(monkeypatch):
    extension = require("torchvision.extension", extra="zoo")
    monkeypatch.setattr(extension, "_has_ops", lambda: False)
    with pytest.raises(InputError, match=r"needs torchvision's compiled operators, .*hf: detector"):
        load("torchvision:fasterrcnn_resnet50_fpn")


def test_weights_of_torchvision_itself(models, monkeypatch):
    """Read twice, the first time so that nothing but tensors can be in the file."""
    original = made(models, "squeezenet1_1")
    asked = []

    def cached(url, **options):
        asked.append((url.rsplit("/", 1)[1][:11], options.get("weights_only", False)))
        return original.state_dict()

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", cached)
    api = require("torchvision.models._api", extra="zoo")
    monkeypatch.setattr(api, "load_state_dict_from_url", cached)
    before = torch.random.get_rng_state()
    model = load("torchvision:squeezenet1_1")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert asked == [("squeezenet1", True), ("squeezenet1", False)]
    assert (model.labels[1], model.assumed) == ("goldfish", ())
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, original.state_dict()[name])


def test_cached_weights_with_python_objects_are_refused(monkeypatch):
    def unsafe(url, **_):
        raise pickle.UnpicklingError("Weights only load failed")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unsafe)
    with pytest.raises(InputError, match=r"hold Python objects; delete .*resnet18-\w+\.pth"):
        load("torchvision:resnet18")


def test_without_cache_and_network_there_is_a_way_out(offline):
    with pytest.raises(InputError, match=r"neither cached nor to be had .*no route.* connect once"):
        load("torchvision:resnet18")


def test_the_wrong_architecture_is_told_by_its_tensors(models, tmp_path):
    path = saved(tmp_path, made(models, "squeezenet1_1"))
    with pytest.raises(InputError, match=r"does not fit torchvision:resnet18: it lacks conv1\.w"):
        load(f"torchvision:resnet18@{path}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torchvision:resnet19", "unknown torchvision model 'resnet19'; did you mean resnet18"),
        ("torchvision:resnet18.V2", "unknown weights of torchvision:resnet18 'V2'; choose from"),
        ("torchvision:raft_small", "raft_small is of optical_flow; choose a model of class"),
        ("torchvision:quantized_resnet18", "is of quantization; choose"),
        ("torchvision:resnet18(weights=None)", "takes no 'weights' here; leave it out"),
        ("torchvision:resnet18(deep=1)@x.safetensors", "torchvision:resnet18: .*'deep'"),
    ],
)
def test_bad_input_gets_one_line(tmp_path, monkeypatch, spec, message):
    monkeypatch.chdir(tmp_path)
    save_file({"a": torch.ones(1)}, "x.safetensors")
    with pytest.raises(InputError, match=message) as caught:
        load(spec)
    assert "\n" not in str(caught.value)
