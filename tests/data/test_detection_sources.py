"""Each layout of boxes is recognised and says the same."""

import json

import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data.detection_sources import open_detection, recognise_boxes

BOXES = {
    "one": [("disc", (2, 1, 12, 7))],
    "two": [("cell", (0, 0, 4, 4)), ("disc", (10, 2, 20, 10))],
    "three": [],
}
SPLITS = {"train": ["one", "two"], "val": ["three"]}
SIZE = (20, 10)


def save(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (len(name), 0, 0)).save(folder / f"{name}.png")


def voc(root):
    for name, boxes in BOXES.items():
        save(root / "JPEGImages", name)
        objects = "".join(
            f"<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{box[0]}</xmin>"
            f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
            for label, box in boxes
        )
        annotations = root / "Annotations"
        annotations.mkdir(exist_ok=True)
        (annotations / f"{name}.xml").write_text(
            f"<annotation><filename>C:/far/{name}.png</filename><size><width>20</width>"
            f"<height>10</height></size>{objects}</annotation>"
        )
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, names in SPLITS.items():
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


def coco(root):
    for split, names in SPLITS.items():
        content = {
            "categories": [{"id": 9, "name": "disc"}, {"id": 3, "name": "cell"}],
            "images": [],
            "annotations": [],
        }
        for number, name in enumerate(names):
            save(root / f"{split}2017", name)
            content["images"].append(
                {"id": number, "file_name": f"{name}.png", "width": 20, "height": 10}
            )
            content["annotations"] += [
                {
                    "id": len(content["annotations"]),
                    "image_id": number,
                    "category_id": {"disc": 9, "cell": 3}[label],
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                }
                for label, box in BOXES[name]
            ]
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content))
    return root


def yolo(root):
    for split, names in SPLITS.items():
        for name in names:
            save(root / split / "images", name)
            (root / split / "labels").mkdir(exist_ok=True)
            lines = [
                f"{['cell', 'disc'].index(label)} {(box[0] + box[2]) / 40} "
                f"{(box[1] + box[3]) / 20} {(box[2] - box[0]) / 20} {(box[3] - box[1]) / 10}"
                for label, box in BOXES[name]
            ]
            if lines:
                (root / split / "labels" / f"{name}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\nnames: [cell, disc]\n"
    )
    return root


LAYOUTS = {"voc": voc, "coco": coco, "yolo": yolo}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_all_say_the_same(tmp_path, kind):
    root = LAYOUTS[kind](tmp_path / "set")
    assert recognise_boxes(root)[0] == kind
    data = open_detection(root, "train")
    assert data.classes == ("cell", "disc")
    names = [picture.stem for picture in data.pictures]
    assert sorted(names) == ["one", "two"]
    for name, truth in zip(names, data.truth, strict=True):
        corners = truth.corners.round(decimals=3).tolist()
        found = [
            (data.classes[label], tuple(box))
            for label, box in zip(truth.labels.tolist(), corners, strict=True)
        ]
        assert found == BOXES[name]
    assert data.counts == {"cell": 1, "disc": 2}
    assert not data.report.problems
    held = open_detection(root, "val")
    assert held.classes == data.classes
    assert len(held.truth[0]) == 0
    with pytest.raises(InputError, match=r"unknown split of .* 'test'; choose from: train, val"):
        open_detection(root, "test")


def test_nested_folder(tmp_path):
    voc(tmp_path / "kit" / "VOC2012")
    assert recognise_boxes(tmp_path / "kit") == ("voc", tmp_path / "kit" / "VOC2012")


def test_voc_oddities(tmp_path):
    root = voc(tmp_path)
    broken = root / "Annotations" / "one.xml"
    whole = broken.read_text()
    broken.write_text(whole[:60])
    data = open_detection(root, "train")
    assert len(data) == 1
    assert "is no XML that can be read" in data.report.lines()[1]
    broken.write_text('<!DOCTYPE a [<!ENTITY b "c">]>' + whole)
    assert open_detection(root).report.counts["unread"] == 1
    broken.write_text(whole.replace("<difficult>0", "<difficult>1").replace(">12<", ">wide<"))
    assert open_detection(root).report.counts["not a number"] == 1
    broken.write_text(whole.replace("<difficult>0", "<difficult>1"))
    assert open_detection(root).truth[0].ignored.tolist() == [True]
    # A class that the training never saw.
    spoilt = root / "Annotations" / "three.xml"
    spoilt.write_text(whole.replace("disc", "ring").replace("one.png", "three.png"))
    assert open_detection(root, "val").report.counts["unknown class"] == 1
    broken.unlink()
    assert "does not exist" in open_detection(root).report.lines()[1]


def test_coco_oddities(tmp_path):
    root = coco(tmp_path)
    file = root / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = ["a", 1, 2, 3]
    content["annotations"][1]["category_id"] = 77
    content["annotations"][2]["iscrowd"] = 1
    content["annotations"].append({"id": 7, "image_id": 5, "category_id": 3, "bbox": [1, 1, 2, 2]})
    content["images"].append({"id": 8})
    file.write_text(json.dumps(content))
    data = open_detection(root)
    assert data.report.counts == {
        "unread": 2,
        "no boxes": 1,
        "not a number": 1,
        "unknown class": 1,
        "unused class": 1,
    }
    assert data.truth[1].ignored.tolist() == [True]
    alone = open_detection(file)
    assert alone.fingerprint == data.fingerprint
    file.write_text('{"images": [')
    with pytest.raises(InputError, match=r"train2017.json is no JSON: .* in line 1, column 13"):
        open_detection(root)
    file.write_text("[]")
    with pytest.raises(InputError, match="holds a list; COCO's JSON is an object"):
        open_detection(root)
    file.write_text("{}")
    with pytest.raises(InputError, match="has no list of categories"):
        open_detection(root)


def test_yolo_oddities(tmp_path):
    root = yolo(tmp_path)
    labels = root / "train" / "labels" / "one.txt"
    labels.write_text("1.0 0.5 0.5 0.2 0.2\n0 0.1 0.1 0.5 0.1 0.3 0.6\n0 0.5 wide\n7 .5 .5 .1 .1\n")
    data = open_detection(root)
    assert data.truth[0].labels.tolist() == [1, 0]
    assert data.truth[0].corners[1].tolist() == [2, 1, 10, 6]
    assert data.report.counts == {"unread": 1, "unknown class": 1}
    assert "line 3 is no class and box: 0 0.5 wide" in data.report.lines()[1]
    (root / "data.yaml").write_text("names: [cell\n")
    with pytest.raises(InputError, match=r"data\.yaml is no YAML that can be read"):
        open_detection(root)
    (root / "data.yaml").unlink()
    assert open_detection(root).classes[:2] == ("class 0", "class 1")


def test_nothing_known(tmp_path):
    with pytest.raises(InputError, match="does not exist; give a folder with"):
        open_detection(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no boxes of a kind that is known"):
        open_detection(tmp_path)
    with pytest.raises(InputError, match="no data 'scene': give scenes, or a path that exists"):
        open_detection("scene")


@pytest.mark.data
def test_blood_cells(real_data):
    data = open_detection(real_data / "bccd", "train")
    assert data.classes == ("Platelets", "RBC", "WBC")
    assert len(data) == 205
    assert data.report.counts == {"empty": 1}
