"""`regard check`: maps of any tool in, a verdict out; bad input costs one line."""

import numpy as np
import pytest
import torch
from PIL import Image

from regard.check import metrics
from regard.core.precision import multiplies_bfloat16
from regard.core.verdict import LEVELS

MODEL = ("--model", "bundled:cifar10-resnet20-attention")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    values = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(values).save(path)
    return path


def saved(tmp_path, values, name="map.npy"):
    np.save(tmp_path / name, values)
    return tmp_path / name


def test_a_map_of_another_tool_is_judged(regard, picture, tmp_path):
    path = saved(tmp_path, np.random.default_rng(1).random((8, 8)))
    found = regard("check", path, "--image", picture, *MODEL, "--json")
    assert found.code == 0
    assert found.json["level"] in LEVELS
    assert found.json["metrics"]["faithfulness_correlation"]["better"] == "higher"
    assert found.json["controls"]["faithfulness_correlation"]["count"] == 399
    again = regard("check", path, "--image", picture, *MODEL, "--json")
    assert again.json == found.json
    other = regard("check", path, "--image", picture, *MODEL, "--json", "--seed", "1")
    assert other.json["metrics"] != found.json["metrics"]


def test_the_verdict_and_its_numbers_are_told_in_words(regard, picture, tmp_path):
    flat = saved(tmp_path, np.ones((8, 8)))
    found = regard("check", flat, "--image", picture, *MODEL)
    assert found.out.startswith(("no better than chance: ", "undecided: "))
    assert "faithfulness_correlation" in found.out
    # Where the CPU has bfloat16, six copies run in both precisions.
    passes = 55 if multiplies_bfloat16(torch.device("cpu")) else 49
    assert f"{passes} forward passes" in found.out


def test_a_saved_explanation_knows_what_it_explains(regard, picture, tmp_path):
    seen = regard(
        *("see", picture, *MODEL, "--method", "grad_cam", "--target", "cat", "--json"),
        *("--out", tmp_path / "seen"),
    )
    (said,) = seen.json["images"][0]["explanations"]
    assert said["verdict"]["level"] in LEVELS
    import regard as package

    model = package.load(MODEL[1])
    path = package.see(model, Image.open(picture), method="grad_cam", target="cat").save(
        tmp_path / "map.npz"
    )
    found = regard("check", path, "--image", picture, *MODEL, "--json")
    assert found.json == said["verdict"]


def test_a_grey_picture_is_a_map_and_a_mask_is_the_truth(regard, picture, tmp_path):
    bright = np.zeros((40, 40), np.uint8)
    bright[5:15, 5:15] = 255
    Image.fromarray(bright).save(tmp_path / "map.png")
    found = regard(
        *("check", tmp_path / "map.png", "--image", picture, *MODEL, "--json"),
        *("--truth", tmp_path / "map.png", "--depth", "full"),
    )
    assert found.json["metrics"]["pointing_game"]["value"] == 1.0
    assert found.json["metrics"]["mass_inside"]["value"] > 0.9
    assert found.json["depth"] == "full"


def test_seeing_without_checking(regard, picture, tmp_path):
    found = regard(
        *("see", picture, *MODEL, "--method", "grad_cam", "--no-check", "--json"),
        *("--out", tmp_path / "seen"),
    )
    assert found.json["images"][0]["explanations"][0]["verdict"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check",), "MAP.npy --image"),
        (("check", "{map}"), "MAP.npy --image"),
        (("check", "{missing}", "--image", "{picture}"), "missing.npy"),
        (("check", "{cube}", "--image", "{picture}"), "(3, 4, 5)"),
        (("check", "{map}", "--image", "{map}"), "map.npy"),
        (("check", "{map}", "--image", "{picture}", "--depth", "deep"), "quick"),
        (("check", "{map}", "--image", "{picture}", "--target", "dgo"), "dog"),
        (("check", "{map}", "--image", "{picture}", *MODEL), "one map is of one model"),
    ],
)
def test_bad_input_costs_one_line(regard, picture, tmp_path, arguments, said):
    places = {
        "map": saved(tmp_path, np.ones((8, 8))),
        "cube": saved(tmp_path, np.ones((3, 4, 5)), "cube.npy"),
        "missing": tmp_path / "missing.npy",
        "picture": picture,
    }
    found = regard(*(str(word).format(**places) for word in arguments), *MODEL)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert found.err.startswith("regard: ")
    assert found.err.count("\n") == 1


def test_metrics_are_listed(regard):
    rows = regard("list", "metrics", "--json").json
    assert [row["name"] for row in rows] == list(metrics)
    assert all(row["answers"].endswith("?") and row["paper"] for row in rows)
