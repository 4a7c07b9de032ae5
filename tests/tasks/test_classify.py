"""Training by name, from Python: what the command line does not show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from regard.core.errors import InputError
from regard.data import ImageDataset, scenes
from regard.models import Preprocessing
from regard.models.airbench import WhiteningConv
from regard.models.load import load
from regard.tasks import ClassifyOptions, Machine, evaluate, train
from regard.tasks import classify as task
from regard.train import Recipe
from regard.train.journal import read_journal
from regard.train.metrics import calibration_error, confusion_matrix

QUICK = Machine(device="cpu", precision="fp32")


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    """Make every split of the scenes small."""

    def open_few(spec, split):
        size = {"small": 24}.get(str(spec), 32)
        seed = {"train": 1, "val": 2, "test": 3}[split]
        return scenes.make(64, size=size, seed=seed).as_dataset(f"few/{split}")

    monkeypatch.setattr(task, "open_dataset", open_few)


def options(**changes):
    return ClassifyOptions(
        **{"model": "resnet8", "recipe": Recipe(epochs=1, batch_size=16), **changes}
    )


def test_a_network_whose_weights_depend_on_the_size_gets_it(tmp_path):
    train(options(data="small", model="textbook_cnn"), tmp_path, machine=QUICK, quiet=True)
    model = load(tmp_path)
    assert model.preprocessing.size == (24, 24)
    assert model.network.fc.in_features == 32 * 22 * 22
    with pytest.raises(InputError, match="takes images of 24×24 pixels and few/test has 32×32"):
        evaluate(model, "scenes")


def test_patches_are_whitened_by_the_training_images_and_stay_so(tmp_path):
    quick = {"recipe": Recipe(epochs=1, batch_size=16, norm_bias_lr=2.0), "model": "airbench"}
    train(options(**quick, model_options={"width": 0.1}), tmp_path, machine=QUICK, quiet=True)
    model, images = load(tmp_path), task.open_dataset("scenes", "train").images
    expected = WhiteningConv()
    expected.whiten(model.preprocessing.normalise(images.float() / 255))
    torch.testing.assert_close(
        model.network.whitening.weight.abs(), expected.weight.abs(), atol=1e-3, rtol=1e-3
    )
    assert not model.network.whitening.bias.equal(torch.zeros(24))


def test_only_so_many_pixels_are_whitened(monkeypatch):
    monkeypatch.setattr(task, "_WHITENED", 10)
    images, whole = (
        task.open_dataset("scenes", "train"),
        Preprocessing((32, 32), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)),
    )
    found = task._first_images(images, whole)
    assert found.equal(whole.normalise(images.images[:10].float() / 255))


def test_an_image_may_be_judged_with_its_mirror_image(tmp_path):
    train(options(), tmp_path, machine=QUICK, quiet=True)
    model, data = load(tmp_path), task.open_dataset("scenes", "test")
    given = model.preprocessing.normalise(data.images.float() / 255)
    with torch.no_grad():
        plain = model(given)
        both = [(one + other) / 2 for one, other in zip(plain, model(given.flip(-1)), strict=True)]
    both = torch.stack(both).softmax(1)
    expected = confusion_matrix(both.argmax(1), data.labels, len(model.labels))
    found = evaluate(model, data, mirror=True)
    assert found.confusion.tolist() == expected.tolist()
    assert found.calibration_error == pytest.approx(calibration_error(both, data.labels), abs=1e-6)
    alone = calibration_error(plain.softmax(1), data.labels)
    assert found.calibration_error != pytest.approx(alone, abs=1e-6)


def test_a_size_that_the_images_do_not_have_is_refused(tmp_path):
    with pytest.raises(InputError, match="has images of 32×32 pixels, not 64×64"):
        train(options(size=64), tmp_path, machine=QUICK, quiet=True)


def test_held_out_images_are_measured_and_not_trained_on(tmp_path):
    train(options(validation=0.25), tmp_path, machine=QUICK, quiet=True)
    (line,) = read_journal(tmp_path)
    assert 0 <= line["validation_accuracy"] <= 1
    config = task.load(tmp_path)
    assert config.labels == scenes.CLASSES


def test_holding_out_everything_or_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="leaves none to hold out"):
        train(options(validation=0.001), tmp_path, machine=QUICK, quiet=True)


def test_the_loaded_model_is_the_trained_one(tmp_path):
    train(options(attention="cbam"), tmp_path, machine=QUICK, quiet=True)
    stored = load_file(tmp_path / "model.safetensors")
    loaded = load(tmp_path).network.state_dict()
    assert set(stored) == set(loaded)
    assert all(torch.equal(stored[name], loaded[name]) for name in stored)


def test_classes_that_are_not_the_model_s_are_refused(tmp_path):
    train(options(), tmp_path, machine=QUICK, quiet=True)
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    other = ImageDataset(images, torch.tensor([0, 1]), ("cat", "dog"), "pets")
    with pytest.raises(
        InputError, match=r"knows 10 classes and pets has 2: .* only the data has cat, dog;"
    ):
        evaluate(tmp_path, other)


@pytest.mark.slow
def test_two_processes_train_together_like_one_of_the_same_batch(tmp_path):
    root = Path(__file__).parents[2]
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from regard.tasks import ClassifyOptions, Machine, train\n"
        "from regard.train import Recipe\n"
        "options = ClassifyOptions(model='textbook_cnn', attention='none', "
        "recipe=Recipe(epochs=1, batch_size=1000, lr=0.003))\n"
        "train(options, Path(sys.argv[1]), machine=Machine('cpu', 'fp32'), quiet=True)\n"
    )
    alone = [sys.executable, str(script), str(tmp_path / "one")]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    together = [*launcher, str(script), str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in (alone, together):
        subprocess.run(command, cwd=root, check=True, env=environment)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-5)
