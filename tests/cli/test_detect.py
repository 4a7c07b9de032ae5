"""`regard train detect` and `regard evaluate` of what it leaves."""

import json
import shutil

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
    page = (out / "evaluation" / "evaluation.html").read_text()
    assert f"{measured.json['mAP50']:.3f}" in page
    assert page.count("<polyline") == 1
    # Pictures of what went wrong: after one epoch, much did.
    assert "data:image/jpeg;base64," in page


def refused(outcome):
    """Return the one line of a refusal; what the check of the boxes reports may stand before it."""
    assert outcome.code == 2, (outcome.out, outcome.err)
    assert outcome.out == ""
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("regard: ")]
    assert outcome.err.strip().splitlines()[-1] == line
    return line


def test_an_interrupted_run_is_gone_on_with(regard, voc, tmp_path, monkeypatch):
    from regard.train import loop

    def command(out):
        return ("train", "detect", "--data", voc, "--out", out, *SMALL, "--epochs", 2)

    def kept_once(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    save = loop.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", kept_once)
        assert regard(*command(tmp_path / "run")).code == 130
    assert "unfinished run" in refused(regard("evaluate", tmp_path / "run"))
    other = regard(*command(tmp_path / "run"), "--lr", "0.5")
    assert "the beginning of another run (recipe was" in refused(other)
    assert regard(*command(tmp_path / "run")).code == 0
    assert "holds a finished run" in refused(regard(*command(tmp_path / "run")))
    assert regard(*command(tmp_path / "whole")).code == 0
    ended, whole = (tmp_path / name / "model.safetensors" for name in ("run", "whole"))
    assert ended.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--attention", "cross@backbone"), "takes a second map has no place at 'backbone'"),
        (("--attention", "eca@nek"), "did you mean neck"),
        (("--attention", "ecca@neck"), "unknown mechanism 'ecca'; did you mean eca"),
        (("--backbone", "resnet19"), "unknown backbone 'resnet19'; did you mean resnet18"),
        (("--loss", "hinge"), "loss"),
        (("--model", "yolo", "--loss", "focal"), "network 'yolo': it has no option 'loss'"),
        (("--no-augment", "--mosaic", "0.5"), "have no effect with --no-augment"),
        (("--mosaic-until", "3"), "a share of mosaics above 0"),
        (("--size", "wide"), "cannot read size"),
        (("--size", "16"), "at least 32 pixels"),
        (("--size", "32", "--batch-size", "1", "--model", "yolo"), "comes to a map of one cell"),
        (
            ("--lr", "1e9", "--batch-size", "2"),
            "training diverged: a gradient is infinite or nan at epoch 1, step",
        ),
        (("--model", "resnet20"), "detector"),
        (("--data", "scene"), "no data 'scene': give scenes, or a path"),
        (("--validation", "0.01"), "leaves none to hold out"),
    ],
)
def test_what_cannot_be_meant_is_one_line(regard, voc, tmp_path, arguments, words):
    out = tmp_path / "run"
    found = regard("train", "detect", "--data", voc, "--out", out, *SMALL, *arguments)
    assert words in refused(found)


def broken_xml(folder):
    (folder / "Annotations/0.xml").write_text("<annotation><object>")


def misspelt_class(folder):
    file = folder / "Annotations/6.xml"
    file.write_text(file.read_text().replace("square", "sqare"))


def no_boxes(folder):
    for number in (0, 1):
        (folder / f"Annotations/{number}.xml").write_text("<annotation></annotation>")


def one_image(folder):
    (folder / "ImageSets/Main/train.txt").write_text("0\n")


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (broken_xml, "annotations that could not be read: 1 (left out): 0.xml is no XML"),
        (no_boxes, "images that have no boxes: 2 (kept as background): 0.xml; 1.xml"),
        (one_image, ""),
    ],
)
def test_what_is_wrong_with_some_data_is_handled(regard, voc, tmp_path, caplog, change, reported):
    shutil.copytree(voc, tmp_path / "data")
    change(tmp_path / "data")
    found = regard("train", "detect", "--data", tmp_path / "data", "--out", tmp_path / "o", *SMALL)
    assert found.code == 0, found.err
    assert reported in caplog.text


def test_a_class_that_the_training_has_not_is_reported_and_left_out(regard, voc, tmp_path, caplog):
    shutil.copytree(voc, tmp_path / "data")
    misspelt_class(tmp_path / "data")
    data, out = tmp_path / "data", tmp_path / "run"
    assert regard("train", "detect", "--data", data, "--out", out, *SMALL).code == 0
    measured = regard("evaluate", out, "--json")
    assert measured.json["per_class"]["square"]["boxes"] == 1
    assert "boxes that have a class that is not known: 1 (left out): 6.xml sqare" in caplog.text


def coco(folder, *, boxes=True, categories=("square", "ship")):
    """Two images a split, as Roboflow writes COCO."""
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        images = [
            {"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 64}
            for number in range(2)
        ]
        for each in images:
            Image.new("RGB", (64, 64)).save(folder / split / each["file_name"])
        annotations = [
            {"id": number, "image_id": number, "category_id": 0, "bbox": [9, 9, 30, 30]}
            for number in range(2 * boxes)
        ]
        named = [{"id": number, "name": name} for number, name in enumerate(categories)]
        content = {"images": images, "annotations": annotations, "categories": named}
        (folder / split / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


def yolo(folder, *, names="[square]"):
    """Two images a split without labels."""
    for split in ("train", "test"):
        (folder / "images" / split).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (64, 64)).save(folder / "images" / split / f"{number}.jpg")
    (folder / "data.yaml").write_text(f"names: {names}\n")
    return folder


def test_data_that_cannot_be_used_is_one_line(regard, voc, tmp_path):
    def train(data):
        return refused(regard("train", "detect", "--data", data, "--out", tmp_path / "o", *SMALL))

    shutil.copytree(voc, tmp_path / "empty")
    (tmp_path / "empty/ImageSets/Main/train.txt").write_text("")
    assert "empty/train has no annotated images" in train(tmp_path / "empty")
    for file in (tmp_path / "empty/Annotations").glob("*.xml"):
        file.write_text("<annot")
    (tmp_path / "empty/ImageSets/Main/train.txt").write_text("0\n1\n")
    assert "is no XML that can be read" in train(tmp_path / "empty")
    without = coco(tmp_path / "without", boxes=False)
    assert "without/train has not one box in 2 images" in train(without)
    assert "has not one box in 2 images" in train(yolo(tmp_path / "yolo"))
    assert "is no YAML that can be read" in train(yolo(tmp_path / "damaged", names="[a"))
    file = without / "train/_annotations.coco.json"
    file.write_text(file.read_text()[:-9])
    assert "is no JSON: " in train(without)
    assert not (tmp_path / "o").exists()


def test_a_class_that_never_appears_has_no_figures(regard, tmp_path):
    out = tmp_path / "run"
    data = coco(tmp_path / "data")
    assert regard("train", "detect", "--data", data, "--out", out, *SMALL).code == 0
    told = regard("evaluate", out)
    assert "without a true box: ship" in told.out
    assert "Without a true box" in (out / "evaluation/evaluation.html").read_text()
    other = coco(tmp_path / "other", categories=("square",))
    line = refused(regard("evaluate", out, "--data", other))
    assert "knows 2 classes and other/test has 1: only the model has ship" in line


def test_a_classifier_is_not_evaluated_on_boxes(regard, voc, trained):
    line = refused(regard("evaluate", trained, "--data", voc))
    assert "first is a classifier, and" in line
    assert "holds images with boxes" in line
    assert "unknown device 'tpu'" in refused(regard("evaluate", trained, "--device", "tpu"))
