"""What stands after `--data` opens the right thing."""

import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data import open_dataset, scenes, sources


@pytest.fixture
def few_scenes(monkeypatch):
    monkeypatch.setattr(sources, "_SCENES", {"train": (6, 1), "test": (5, 3)})


@pytest.mark.parametrize("spec", [None, "scenes"])
def test_scenes_are_the_default(few_scenes, spec):
    train, test = open_dataset(spec), open_dataset(spec, "test")
    assert (train.name, test.name) == ("scenes/train", "scenes/test")
    assert train.classes == scenes.CLASSES
    assert len(test) == 5
    assert not train.images[:5].equal(test.images)
    with pytest.raises(InputError, match="split of the scenes 'tets'; did you mean test"):
        open_dataset(spec, "tets")


def test_path(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "0.png")
    assert open_dataset(tmp_path).classes == ("a", "b")
    assert open_dataset(str(tmp_path)).classes == ("a", "b")


def test_unknown_name_or_path(tmp_path):
    with pytest.raises(
        InputError, match=r"unknown data 'cifar'; did you mean cifar10.*give a path"
    ):
        open_dataset("cifar")
    with pytest.raises(InputError, match="does not exist"):
        open_dataset(tmp_path / "none")
