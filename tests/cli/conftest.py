"""A small folder of pictures, and a way to run the command line inside this process."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from regard.cli.main import run
from regard.data import scenes


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def regard(capfd):
    """Run a command line; return its exit code and what it printed."""

    def call(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


def write_scenes(folder, count, seed):
    """Write scenes of two classes as PNG files, one folder a class."""
    drawn = scenes.make(count, size=32, classes=("striped disc", "checked square"), seed=seed)
    for index, (image, label) in enumerate(zip(drawn.images, drawn.labels, strict=True)):
        place = folder / drawn.classes[int(label)].replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0))).save(place / f"{index}.png")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A data set of files with a train and a test split."""
    folder = tmp_path_factory.mktemp("pictures")
    write_scenes(folder / "train", 48, seed=1)
    write_scenes(folder / "test", 24, seed=2)
    return folder


@pytest.fixture(scope="session")
def trained(pictures, tmp_path_factory):
    """A finished run: one epoch of the smallest network with attention."""
    out = tmp_path_factory.mktemp("runs") / "first"
    code = run(
        [
            *("train", "classify", "--data", str(pictures), "--model", "resnet8"),
            *("--attention", "multi_head(num_heads=2, size=4)", "--epochs", "1"),
            *("--batch-size", "16", "--device", "cpu", "--out", str(out)),
        ]
    )
    assert code == 0
    return out
