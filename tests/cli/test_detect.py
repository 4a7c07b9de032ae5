"""`regard train detect` and `regard evaluate` of what it leaves."""

import numpy as np
import pytest
from PIL import Image

SMALL = (
    *("--model", "retinanet(channels=8, depth=1)", "--backbone", "resnet18(width=4)"),
    *("--epochs", 1, "--batch-size", 4, "--size", "64", "--workers", 0, "--device", "cpu"),
)


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    """Eight images with one bright square each, as Pascal VOC has them."""
    folder = tmp_path_factory.mktemp("voc")
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(8):
        left, top = (int(start) for start in random.integers(2, 30, 2))
        pixels = random.integers(0, 90, (64, 64, 3), dtype=np.uint8)
        pixels[top : top + 24, left : left + 24] += 150
        Image.fromarray(pixels).save(folder / f"JPEGImages/{number}.jpg")
        (folder / f"Annotations/{number}.xml").write_text(
            f"<annotation><filename>{number}.jpg</filename>"
            "<size><width>64</width><height>64</height><depth>3</depth></size>"
            f"<object><name>square</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
            f"<xmax>{left + 24}</xmax><ymax>{top + 24}</ymax></bndbox></object></annotation>"
        )
    for split, numbers in (("train", range(4)), ("val", (4, 5)), ("test", (6, 7))):
        listed = "\n".join(map(str, numbers))
        (folder / f"ImageSets/Main/{split}.txt").write_text(listed + "\n")
    return folder


def test_train_then_evaluate(regard, voc, tmp_path):
    out = tmp_path / "run"
    trained = regard(
        "train", "detect", "--data", voc, "--out", out, "--attention", "eca@head", *SMALL, "--json"
    )
    assert trained.code == 0, trained.err
    assert {"train_loss", "validation_mAP50", "validation_mAP50_95"} <= set(trained.json)
    measured = regard("evaluate", out, "--json")
    assert measured.code == 0, measured.err
    assert {"mAP50", "mAP50_95", "interval"} <= set(measured.json)
    assert measured.json["images"] == 2
    told = regard("evaluate", out)
    assert "mAP50" in told.out
    assert "square" in told.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--attention", "cross@backbone"), "takes a second map has no place at 'backbone'"),
        (("--attention", "eca@nowhere"), "nowhere"),
        (("--loss", "hinge"), "loss"),
        (("--no-augment", "--mosaic", "0.5"), "have no effect with --no-augment"),
        (("--size", "wide"), "cannot read size"),
        (("--model", "resnet20"), "detector"),
    ],
)
def test_what_cannot_be_meant_is_one_line(regard, voc, tmp_path, arguments, words):
    found = regard("train", "detect", "--data", voc, "--out", tmp_path / "run", *SMALL, *arguments)
    assert found.code == 2
    assert words in found.err
    assert len(found.err.strip().splitlines()) == 1
