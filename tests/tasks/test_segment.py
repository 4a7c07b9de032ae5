"""A segmenter from words to figures: trained, stored, loaded, measured, drawn."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from regard.core.errors import InputError
from regard.data.segmentation_sources import open_segmentation, scenes_with_masks
from regard.models.load import load
from regard.tasks import Machine, SegmentOptions, evaluate
from regard.tasks import segment as task
from regard.tasks.segment import segmentation_recipe
from regard.train.journal import read_journal

QUICK = Machine(device="cpu", precision="fp32")


def few(spec, split):
    """Make every split of the scenes small."""
    if spec != "scenes":
        return open_segmentation(spec, split)
    seed = {"train": 1, "val": 2, "test": 3}[split]
    return scenes_with_masks(12, size=32, seed=seed, name=f"few/{split}")


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    monkeypatch.setattr(task, "open_segmentation", few)


def options(**changes):
    given = {
        "model": "attention_unet",
        "model_options": {"encoder": "plain(width=4, levels=3)", "width": 4},
        "recipe": segmentation_recipe(epochs=1, batch_size=4),
    }
    return SegmentOptions(**{**given, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "segmenter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "open_segmentation", few)
        given = options(loss="cross_entropy + dice", class_weights="median_frequency")
        task.train(given, folder, machine=QUICK, quiet=True)
    return folder


def test_a_run_says_what_it_is_and_is_loaded_as_a_segmenter(trained):
    (line,) = read_journal(trained)
    assert 0 < line["validation_mIoU"] < 1
    model = load(trained)
    assert model.task == "segment"
    assert model.labels[0] == "background"
    assert model.preprocessing.size == (32, 32)
    config = json.loads((trained / "config.json").read_text())
    assert config["choices"] == {
        "loss": "cross_entropy + dice",
        "class_weights": "median_frequency",
        "pretrained": False,
    }
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 6, 32, 32)


def test_evaluation_of_the_run_counts_every_pixel_once(trained):
    result = evaluate(trained, "scenes")
    assert result.confusion.sum() == 12 * 32 * 32
    assert result.counts.true.sum() == 12 * 32 * 32
    figures = result.to_json()
    assert figures["interval"][0] <= figures["mIoU"] <= figures["interval"][1]
    assert figures["images"] == 12
    ious = [mistake.iou for mistake in result.mistakes]
    assert len(ious) == 8
    assert ious == sorted(ious)


def test_masks_are_measured_at_their_own_size(trained):
    """A set of images twice as large has four times as many pixels to get right."""
    large = scenes_with_masks(4, size=64, seed=5)
    assert evaluate(trained, large).confusion.sum() == 4 * 64 * 64


def test_another_loss_does_not_go_on_with_a_run(tmp_path):
    task.train(options(), tmp_path / "a", machine=QUICK, quiet=True)
    (tmp_path / "a" / "model.safetensors").unlink()
    (tmp_path / "a" / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"beginning of another run \(choices was"):
        task.train(options(loss="focal"), tmp_path / "a", machine=QUICK, quiet=True)


def test_the_network_learns_what_is_easy(tmp_path):
    """Bright squares on dark ground: a few epochs get nearly every pixel."""
    for split, count in (("train", 16), ("val", 4)):
        for index in range(count):
            mask = np.zeros((32, 32), np.uint8)
            top, left = 2 + 3 * index % 13, 1 + 5 * index % 17
            mask[top : top + 12, left : left + 12] = 1
            for kind, pixels in (("images", mask * 200 + 20), ("masks", mask)):
                path = tmp_path / "data" / split / kind / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    recipe = segmentation_recipe(epochs=6, batch_size=4, ema=0.0, lr=1e-2)
    data = str(tmp_path / "data")
    given = options(data=data, model="unet", recipe=recipe, augment=None)
    task.train(given, tmp_path / "run", machine=QUICK, quiet=True)
    assert read_journal(tmp_path / "run")[-1]["validation_mIoU"] > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_weights": "median"}, "choose none or median_frequency"),
        ({"size": (0, 3)}, "size="),
    ],
)
def test_options_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        options(**changes)


def test_data_of_other_classes_is_refused(trained):
    other = scenes_with_masks(2, size=32)
    other = type(other)(other.pairs, (*other.classes[:-1], "hoop"), "hoops")
    with pytest.raises(
        InputError,
        match=r"knows 6 classes and hoops has 6: only the model has ring; only the data has hoop;",
    ):
        evaluate(trained, other)


def test_pretrained_weights_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(InputError, match="has no pretrained weights"):
        task.train(options(pretrained=True), tmp_path, machine=QUICK, quiet=True)
