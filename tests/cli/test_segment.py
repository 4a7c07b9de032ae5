"""`regard train segment` and `regard evaluate` of its run, from files to figures."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four pictures a split of 32×24 pixels: a bright box on dark ground, one pixel void."""
    folder = tmp_path_factory.mktemp("boxes")
    for split in ("train", "test"):
        for index in range(4):
            mask = np.zeros((24, 32), np.uint8)
            mask[4 + index : 14, 6 : 20 + index] = 1
            pixels = mask * 200 + 20
            mask[0, 0] = 255
            for kind, each in (("images", pixels), ("masks", mask)):
                path = folder / split / kind / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(each).save(path)
    (folder / "classes.txt").write_text("ground\nbox\nboat\n")
    return folder


def command(data, out, *more):
    return (
        *("train", "segment", "--data", data, "--out", out, "--epochs", 1, "--batch-size", 2),
        *("--model", "unet(width=4)", "--encoder", "plain(width=4, levels=3)", "--device", "cpu"),
        *("--precision", "fp32", *more),
    )


def test_from_files_to_figures(regard, data, tmp_path):
    run = tmp_path / "run"
    trained = regard(*command(data, run, "--loss", "cross_entropy + dice", "--json")).json
    assert trained["run"] == str(run)
    assert 0 <= trained["train_pixel_accuracy"] <= 1
    figures = regard("evaluate", run, "--json").json
    assert figures["interval"][0] <= figures["mIoU"] <= figures["interval"][1]
    assert sum(map(sum, figures["confusion"])) == 4 * (24 * 32 - 1)
    assert set(figures["per_class"]) | set(figures["absent"]) == {"ground", "box", "boat"}
    assert json.loads((run / "evaluation" / "evaluation.json").read_text()) == figures
    for name in ("iou.png", "worst.png"):
        assert Image.open(run / "evaluation" / name).size[0] > 300


def refused(outcome):
    """Return the one line of a refusal."""
    assert outcome.code == 2, (outcome.out, outcome.err)
    assert outcome.out == ""
    (line,) = outcome.err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--size", "3by4"), "cannot read size '3by4'"),
        (("--loss", "dise"), "did you mean dice"),
        (("--no-augment", "--scale", "1", "2"), "--scale has no effect with --no-augment"),
        (("--class-weights", "median"), "choose none or median_frequency"),
        (("--model", "resnet20"), "unknown segmenter 'resnet20'"),
    ],
)
def test_what_cannot_be_meant_is_one_line(regard, data, tmp_path, more, message):
    assert message in refused(regard(*command(data, tmp_path / "run", *more)))
    assert not (tmp_path / "run").exists()


def test_masks_of_another_size_are_one_line(regard, tmp_path):
    for kind, size in (("images", (32, 24)), ("masks", (24, 24))):
        path = tmp_path / "data" / "train" / kind / "a.png"
        path.parent.mkdir(parents=True)
        Image.new("L", size).save(path)
    line = refused(regard(*command(tmp_path / "data", tmp_path / "run")))
    assert "is 24×24 pixels and its image 32×24" in line
