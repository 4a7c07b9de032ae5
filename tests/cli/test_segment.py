"""`regard train segment` and `regard evaluate` of its run, from files to figures."""

import json
import shutil

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
        (("--model", "unet(widht=4)"), "network 'unet': it has no option 'widht'"),
        (("--encoder", "resnet19"), "unknown backbone 'resnet19'; did you mean resnet18"),
        (("--attention", "eca@decodr"), "unknown place in UNet 'decodr'; did you mean decoder"),
        (("--size", "2"), "unet cannot take images of 2×2 pixels"),
        (("--crop", "500"), "crop=(500, 500) is no part of images of 24×32 pixels"),
        (("--data", "scene"), "no data 'scene'"),
        (("--validation", "0.1"), "leaves none to hold out"),
    ],
)
def test_what_cannot_be_meant_is_one_line(regard, data, tmp_path, more, message):
    assert message in refused(regard(*command(data, tmp_path / "run", *more)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("model", ["unet(width=4)", "attention_unet(width=4)", "fcn(width=4)"])
def test_a_map_of_one_cell_of_one_image_is_one_line(regard, data, tmp_path, model):
    """Batch norm has nothing to compare one value with."""
    shapes = ("--encoder", "plain(width=2, levels=6)", "--size", "32", "--batch-size", 1)
    line = refused(regard(*command(data, tmp_path / "run", "--model", model, *shapes)))
    assert "a batch of 1 of 32×32 pixels comes to a map of one cell" in line
    assert "give larger images, or more of them a batch" in line


def test_one_image_is_enough(regard, data, tmp_path):
    for split in ("train", "test"):
        for kind in ("images", "masks"):
            place = tmp_path / "data" / split / kind
            place.mkdir(parents=True)
            shutil.copy(data / split / kind / "0.png", place)
    shutil.copy(data / "classes.txt", tmp_path / "data")
    assert regard(*command(tmp_path / "data", tmp_path / "run")).code == 0
    assert regard("evaluate", tmp_path / "run", "--json").json["images"] == 1


def test_some_masks_that_cannot_be_used_are_reported(regard, data, tmp_path, caplog):
    shutil.copytree(data, tmp_path / "data")
    masks = tmp_path / "data/train/masks"
    Image.new("L", (24, 24)).save(masks / "0.png")
    Image.new("L", (32, 24), 9).save(masks / "1.png")
    found = regard(*command(tmp_path / "data", tmp_path / "run"))
    assert found.code == 0, found.err
    assert "2 of 4 images are left out, the first: " in caplog.text
    assert "0.png is 24×24 pixels and its image 32×24" in caplog.text


def test_nothing_but_void_is_one_line(regard, data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    assert regard(*command(tmp_path / "data", tmp_path / "run")).code == 0
    for split in ("test", "train"):
        for file in (tmp_path / "data" / split / "masks").iterdir():
            Image.new("L", (32, 24), 255).save(file)
    assert "every pixel of all 4 masks is void" in refused(regard("evaluate", tmp_path / "run"))
    assert "nothing to learn" in refused(regard(*command(tmp_path / "data", tmp_path / "other")))


def coco(folder, change):
    """One image with one instance; `change` damages its annotations."""
    image = {"id": 1, "file_name": "a.png", "width": 32, "height": 24}
    shape = [[2, 2, 20, 2, 20, 20, 2, 20]]
    instance = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": shape}
    content = {
        "images": [image],
        "annotations": [instance],
        "categories": [{"id": 1, "name": "box"}],
    }
    change(content)
    (folder / "train").mkdir(parents=True)
    Image.new("RGB", (32, 24)).save(folder / "train" / "a.png")
    (folder / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"].clear(), "has no annotations"),
        (lambda c: c["annotations"][0].pop("segmentation"), "an instance has no segmentation"),
        (lambda c: c["annotations"][0].update(segmentation=[[1, "a"]]), "cannot be read"),
        (lambda c: c["categories"][0].update(id="x"), "one of its categories has id='x'"),
        (lambda c: c["images"][0].update(id=[1]), "one of its images has id=[1]"),
        (lambda c: c["images"][0].update(height="a"), "one of its images has height='a'"),
        (lambda c: c["images"][0].update(width=33), "get the right image"),
        (lambda c: c.pop("images"), "has no list of images"),
    ],
)
def test_damaged_coco_is_one_line(regard, tmp_path, change, message):
    assert message in refused(regard(*command(coco(tmp_path / "coco", change), tmp_path / "run")))


def test_data_of_other_classes_is_one_line(regard, data, tmp_path, trained):
    run = tmp_path / "run"
    assert regard(*command(data, run)).code == 0
    shutil.copytree(data, tmp_path / "other")
    (tmp_path / "other/classes.txt").write_text("ground\nbox\nbaot\n")
    line = refused(regard("evaluate", run, "--data", tmp_path / "other"))
    assert "knows 3 classes and other/test has 3: only the model has boat" in line
    assert "only the data has baot" in line
    line = refused(regard("evaluate", trained, "--data", data))
    assert "is a classifier, and" in line
    assert "holds images with masks" in line


def test_masks_of_another_size_are_one_line(regard, tmp_path):
    for kind, size in (("images", (32, 24)), ("masks", (24, 24))):
        path = tmp_path / "data" / "train" / kind / "a.png"
        path.parent.mkdir(parents=True)
        Image.new("L", size).save(path)
    line = refused(regard(*command(tmp_path / "data", tmp_path / "run")))
    assert "is 24×24 pixels and its image 32×24" in line
