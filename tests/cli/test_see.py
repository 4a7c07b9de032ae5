"""`regard see`: pictures in, maps and pages out; broken files cost themselves only."""

import numpy as np
import pytest
from PIL import Image

MODEL = ("--model", "bundled:cifar10-resnet20-attention", "--method", "grad_cam")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "pictures"
    (place / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png", "more/a.png"):
        Image.fromarray(random.integers(0, 256, (40, 40, 3), np.uint8)).save(place / name)
    (place / "broken.jpg").write_text("no picture")
    return place


def test_a_picture_gets_a_map_and_a_page(regard, folder, tmp_path):
    out = tmp_path / "seen"
    found = regard("see", folder / "a.png", *MODEL, "--out", out)
    assert found.code == 0
    assert "a.png: " in found.out
    with Image.open(out / "a.png") as overlay:
        assert overlay.mode == "RGB"
    assert "grad_cam" in (out / "a.html").read_text()
    assert not (out / "index.html").exists()


def test_a_folder_streams_through_and_says_what_was_skipped(regard, folder, tmp_path):
    out = tmp_path / "seen"
    found = regard("see", folder, *MODEL, "--out", out, "--json")
    assert found.code == 0
    assert [row["image"].rpartition("pictures/")[2] for row in found.json["images"]] == [
        "a.png",
        "b.png",
        "more/a.png",
    ]
    assert "broken.jpg" in found.json["skipped"][0]["reason"]
    assert "broken.jpg" in found.err
    pages = {row["page"] for row in found.json["images"]}
    assert len(pages) == 3  # two files of one name do not overwrite each other
    index = (out / "index.html").read_text()
    assert all(page.rpartition("/")[2] in index for page in pages)


def test_several_targets_and_methods_share_a_page(regard, folder, tmp_path):
    found = regard(
        *("see", folder / "a.png", *MODEL, "--method", "hires_cam", "--json"),
        *("--target", "cat", "--target", "cat/dog", "--out", tmp_path / "seen"),
    )
    (image,) = found.json["images"]
    assert [(e["target"], e["method"]) for e in image["explanations"]] == [
        ("cat", "grad_cam"),
        ("cat", "hires_cam"),
        ("cat rather than dog", "grad_cam"),
        ("cat rather than dog", "hires_cam"),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("broken.jpg",), "not an image"),
        (("nothing.png",), "does not exist"),
        (("a.png", "--method", "grad_cap"), "did you mean grad_cam"),
        (("a.png", "--target", "cta"), "did you mean cat"),
        (("a.png", "--site", "layer9"), "unknown layer"),
    ],
)
def test_wrong_input_is_one_line(regard, folder, tmp_path, arguments, words):
    name, *rest = arguments
    found = regard("see", folder / name, *MODEL, *rest, "--out", tmp_path / "seen")
    assert found.code == 2
    assert words in found.err
    assert len(found.err.strip().splitlines()) == 1


def test_a_folder_of_broken_files_is_refused(regard, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    found = regard("see", tmp_path, *MODEL, "--out", tmp_path / "seen")
    assert found.code == 2
    assert "none of the 2 files" in found.err
