"""Training and measuring detectors by name, and loading what that leaves."""

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.models.detect.tiny import BACKBONE, NAMES, OPTIONS

import regard.tasks
from regard.core.errors import InputError
from regard.data.detection_batches import DetectionBatches
from regard.data.detection_dataset import Boxes, DetectionDataset
from regard.data.detection_scenes import make_detection_scenes
from regard.models import Preprocessing
from regard.models.load import load
from regard.tasks import DetectOptions, Machine
from regard.tasks import detect as task
from regard.train.journal import read_journal

QUICK = Machine(device="cpu", precision="fp32", workers=0)


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    """Make every split of the scenes small."""

    def open_few(spec, split):
        if split == "val" and spec == "no val":
            raise InputError("no such split")
        return make_detection_scenes(8, size=64, seed=len(split), name=f"few/{split}")

    monkeypatch.setattr(task, "open_detection", open_few)


def options(model="retinanet", **changes):
    recipe = task.detection_recipe(epochs=1, batch_size=4)
    values = {"model": model, "backbone": BACKBONE, "model_options": OPTIONS[model]}
    return DetectOptions(**{**values, "recipe": recipe, **changes})


@pytest.mark.parametrize("name", NAMES)
def test_the_loaded_detector_is_the_trained_one(tmp_path, name):
    train = {"attention": "cross(num_heads=2)@head"} if name == "yolo" else {}
    task.train(options(name, **train), tmp_path, machine=QUICK, quiet=True)
    (line,) = read_journal(tmp_path)
    assert 0 <= line["validation_mAP50_95"] <= line["validation_mAP50"] <= 1
    model = load(tmp_path)
    assert model.task == "detect"
    assert model.labels == make_detection_scenes(1, size=64).classes
    stored, loaded = load_file(tmp_path / "model.safetensors"), model.network.state_dict()
    assert set(stored) == set(loaded)
    assert all(torch.equal(stored[key], loaded[key]) for key in stored)
    figures = regard.tasks.evaluate(model, "scenes").to_json()
    assert {"mAP50", "mAP50_95", "interval"} <= set(figures)


def test_the_same_seed_gives_the_same_weights(tmp_path):
    for place in ("one", "two"):
        task.train(options("faster_rcnn", seed=3), tmp_path / place, machine=QUICK, quiet=True)
    one, two = (load_file(tmp_path / place / "model.safetensors") for place in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_held_out_images_are_measured(tmp_path):
    task.train(options(data="no val", validation=0.5), tmp_path, machine=QUICK, quiet=True)
    (line,) = read_journal(tmp_path)
    assert "validation_mAP50" in line
    assert task.load(tmp_path).preprocessing.size == (64, 64)


def test_classes_that_are_not_the_model_s_are_refused(tmp_path):
    task.train(options(data="no val"), tmp_path, machine=QUICK, quiet=True)
    other = make_detection_scenes(2, size=64)
    renamed = DetectionDataset(other.pictures, other.truth, tuple("abcdefghij"), "letters")
    with pytest.raises(
        InputError, match=r"knows 10 classes and letters has 10: .* only the data has a, b, c, …"
    ):
        task.evaluate(tmp_path, renamed)


def test_a_picture_is_prepared_as_the_batches_prepare_it():
    """Undistorted, on the middle of a grey canvas; also where that falls between pixels."""
    random = torch.Generator().manual_seed(0)
    for shape in ((40, 90), (75, 31), (64, 96)):
        pixels = torch.randint(256, (*shape, 3), generator=random, dtype=torch.uint8).numpy()
        none = Boxes(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).bool())
        dataset = DetectionDataset((pixels,), (none,), ("a",), "one")
        batches = DetectionBatches(dataset, 1, size=(64, 96), workers=0)
        ((images, _),) = batches.epoch(0)
        preprocessing = Preprocessing(
            (64, 96), (0.0,) * 3, (1.0,) * 3, resize="letterbox", interpolation="bilinear"
        )
        torch.testing.assert_close(preprocessing(Image.fromarray(pixels)), images)


def test_the_usual_size_keeps_the_shape():
    def of(*shapes):
        none = Boxes(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).bool())
        pixels = tuple(torch.zeros(*s, 3, dtype=torch.uint8).numpy() for s in shapes)
        return task.usual_size(DetectionDataset(pixels, (none,) * len(pixels), ("a",), "x"))

    assert of((480, 640), (480, 640), (10, 10)) == (320, 416)
    assert of((96, 96)) == (96, 96)
    assert of((20, 900)) == (32, 416)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": (16, 64)}, r"size=\(16, 64\)"),
        ({"model": "retinanet", "backbone": "resnet99"}, "unknown backbone"),
        ({"pretrained": True}, "has no pretrained weights"),
        ({"validation": 0.01}, "leaves none to hold out"),
        ({"model_options": {"backbone": "resnet8"}}, "given twice"),
    ],
)
def test_options_that_cannot_be_meant(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        task.train(options(**changes), tmp_path, machine=QUICK, quiet=True)
