"""Models by a word: every form of it, and what to do about a word that is none."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import nn

from regard.core.boxes import iou
from regard.core.errors import InputError
from regard.models import NetworkSpec, Preprocessing, VisionModel, build
from regard.models.load import FORMS, load
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from regard.models.run_models import bundled_names, trained_on


def saved(tmp_path, network, name="x.safetensors"):
    save_file(network.state_dict(), tmp_path / name)
    return tmp_path / name


BUNDLED = {
    "cifar10-resnet20-attention": ("classify", 10, "cat", "cifar10"),
    "camvid-segmenter": ("segment", 11, "road", "camvid"),
    "bccd-detector": ("detect", 3, "WBC", "bccd"),
}


@pytest.mark.parametrize("name", bundled_names())
def test_a_bundled_model_is_ready(name):
    task, classes, label, source = BUNDLED[name]
    model = load(f"bundled:{name}")
    assert model.name == f"bundled:{name}"
    assert (model.task, model.labels[-1 if classes < 4 else 3], len(model.labels)) == (
        task,
        label,
        classes,
    )
    assert model.assumed == ()
    assert trained_on(f"bundled:{name}") == source


def test_the_bundled_segmenter_sees_the_sky_where_it_is():
    model = load("bundled:camvid-segmenter")
    height, width = model.preprocessing.size
    street = np.full((height, width, 3), (90, 88, 86), np.uint8)
    street[: height // 2] = (200, 215, 235)
    with torch.no_grad():
        (seen,) = model(model.prepare(Image.fromarray(street))).argmax(1)
    sky = seen == model.labels.index("sky")
    assert sky[: height // 3].double().mean() > 0.9
    assert sky[height // 2 :].double().mean() < 0.6  # what is grey and flat it does not know


def test_the_bundled_detector_finds_a_painted_cell():
    """A dark disc as large as a white cell, among paler ones: the surest box is on it."""
    model = load("bundled:bccd-detector")
    height, width = model.preprocessing.size
    picture = Image.new("RGB", (width, height), (225, 215, 205))
    draw = ImageDraw.Draw(picture)
    for left, top in ((30, 40), (120, 250), (330, 60), (400, 220)):
        draw.ellipse((left, top, left + 80, top + 80), (205, 160, 160))
    cell = (200, 110, 320, 230)
    draw.ellipse(cell, (120, 80, 150))
    with torch.no_grad():
        (found,) = model(model.prepare(picture))
    white = found["labels"] == model.labels.index("WBC")
    box = found["boxes"][white][found["scores"][white].argmax()]
    assert iou(box[None], torch.tensor([cell]).float()).item() > 0.7


@pytest.mark.parametrize("at", ["x.safetensors", "a folder/with@sign.safetensors"])
def test_one_of_our_networks_with_a_file(tmp_path, at):
    (tmp_path / at).parent.mkdir(exist_ok=True)
    spec = NetworkSpec("resnet8", 7, "eca@layer3", {"width": 8})
    original = build(spec, seed=4)
    path = saved(tmp_path, original, at)
    model = load(f'resnet8(width=8, attention="eca@layer3")@{path}')
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(images), original(images))
    assert model.labels == tuple("0123456")
    assert model.preprocessing == Preprocessing((32, 32), IMAGENET_MEAN, IMAGENET_STD)
    assert any("they are numbered" in said for said in model.assumed)
    assert any("normalised as for ImageNet" in said for said in model.assumed)


def test_a_vision_model_s_own_weights_come_back(tmp_path):
    """`model.state_dict()` has `network.` before every name."""
    model = load("bundled:cifar10-resnet20-attention")
    path = saved(tmp_path, model)
    again = load(f'resnet20(width=32, attention="multi_head(num_heads=4)@layer3")@{path}')
    assert again.assumed[0] == "'network.' before the names of all weights was taken off"
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


@dataclasses.dataclass
class Boxes:
    logits: torch.Tensor
    boxes: torch.Tensor


@pytest.mark.parametrize(
    "answer",
    [lambda x: {"out": x}, lambda x: (x, [x]), lambda x: Boxes(x, x), lambda x: [{"boxes": x}]],
    ids=["dict", "tuple", "dataclass", "list"],
)
def test_whatever_a_network_returns_passes_through(answer):
    class Network(nn.Module):
        def forward(self, images):
            self.answer = answer(images)
            return self.answer

    preprocessing = Preprocessing((4, 4), IMAGENET_MEAN, IMAGENET_STD)
    model = VisionModel(Network(), name="mine", preprocessing=preprocessing, task="detect")
    assert model(torch.zeros(1, 3, 4, 4)) is model.network.answer
    assert model.task == "detect"


def test_a_folder_of_transformers_is_pointed_to_its_scheme(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(
        InputError, match=f"is a model of transformers, not a run; write hf:{tmp_path}"
    ):
        load(tmp_path)


def test_a_weights_file_alone_is_told_how_to_be_given(tmp_path):
    path = saved(tmp_path, nn.Linear(2, 2))
    with pytest.raises(InputError, match=f"does not say of which network; write timm:NAME@{path}"):
        load(path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "nothing",
            r"no model 'nothing': it is no folder, and no bundled:\{bccd.*cifar10.*hf:ORG/NAME",
        ),
        ("keras:model.h5", "no model 'keras:model.h5'"),
        ("hf:", "no model 'hf:'"),
        ("bundled:cifar", "unknown bundled model 'cifar'; .*cifar10"),
        ("photo:dinov2", "unknown photo model 'dinov2'; did you mean dinov2-small"),
        ("resnet20", "resnet20 is a network without weights; write resnet20@FILE, or train it"),
        ("resnet21@x.pt", "unknown model 'resnet21'; did you mean resnet20"),
        ("resnet20@no such file.pt", "no weights file 'no such file.pt'; check the path"),
        ("resnet20(deep=3)@x.safetensors", "network 'resnet20': .*'deep'"),
        ("resnet20(3)@x.safetensors", "cannot read the options of model"),
        ("timm:resnet18@no such file.pt", "no weights file 'no such file.pt'"),
        ("torchvision:resnet18@no such file.pt", "no weights file 'no such file.pt'"),
    ],
)
def test_a_word_that_is_no_model_gets_one_line(tmp_path, monkeypatch, spec, message):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, nn.Linear(2, 2))
    with pytest.raises(InputError, match=message) as caught:
        load(spec)
    assert "\n" not in str(caught.value)


def test_the_docstring_and_the_list_name_every_form():
    for form in FORMS:
        word = form.replace("NETWORK@", "NETWORK(option=value)@").replace("FOLDER", "folder")
        assert form in load.__doc__ or word in load.__doc__, form


def test_nothing_is_drawn_from_the_global_random_state(tmp_path):
    path = saved(tmp_path, build(NetworkSpec("resnet8", 3)))
    before = torch.random.get_rng_state()
    load(f"resnet8@{path}")
    assert torch.equal(torch.random.get_rng_state(), before)
