"""Every kind of wrong box is found, named, and dealt with by the rule."""

import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data.annotated import Annotated, NamedBox, Reading, Unread
from regard.data.box_check import KINDS, check_boxes

NAN = float("nan")


def image(folder, name="a.png", size=(20, 10)):
    Image.new("RGB", size).save(folder / name)
    return folder / name


def reading(folder, *corners, names=None, **more):
    names = names or ["cell"] * len(corners)
    boxes = tuple(NamedBox(box, name) for box, name in zip(corners, names, strict=True))
    one = Annotated(image(folder), boxes, folder / "a.xml", **more)
    return Reading((one,), ("cell",), "set/train")


GOOD = (1.0, 2.0, 8.0, 9.0)

CASES = {
    "swapped": ((8.0, 9.0, 1.0, 2.0), GOOD),
    "reaches out": ((-3.0, 2.0, 25.0, 30.0), (0.0, 2.0, 20.0, 10.0)),
    "outside": ((30.0, 2.0, 40.0, 9.0), None),
    "empty": ((3.0, 2.0, 3.0, 9.0), None),
    "not a number": ((NAN, 2.0, 3.0, 9.0), None),
}


@pytest.mark.parametrize("kind", CASES)
def test_kinds(tmp_path, kind):
    wrong, better = CASES[kind]
    given = reading(tmp_path, wrong, (2.0, 2.0, 4.0, 4.0))
    (fixed,), report = check_boxes(given)
    assert [box.corners for box in fixed.boxes][:-1] == ([] if better is None else [better])
    assert fixed.boxes[-1].corners == (2.0, 2.0, 4.0, 4.0)
    assert report.counts == {kind: 1}
    assert report.problems[0].file.name == "a.xml"
    (dropped,), report = check_boxes(given, "drop")
    assert len(dropped.boxes) == 1
    assert report.problems[0].remedy == "left out"
    with pytest.raises(InputError, match=f"set/train: boxes that {KINDS[kind]}: 1, the first: .*"):
        check_boxes(given, "refuse")


def test_several_faults_of_one_box(tmp_path):
    (fixed,), report = check_boxes(reading(tmp_path, (25.0, 9.0, 1.0, 2.0)))
    assert fixed.boxes[0].corners == (1.0, 2.0, 20.0, 9.0)
    assert report.counts == {"swapped": 1, "reaches out": 1}


def test_duplicates_and_classes(tmp_path):
    given = reading(tmp_path, GOOD, GOOD, GOOD, names=["cell", "cell", "sell"])
    (fixed,), report = check_boxes(given)
    assert len(fixed.boxes) == 1
    assert report.counts == {"unknown class": 1, "duplicate": 1}
    assert report.lines() == [
        "set/train: 1 images with 1 boxes",
        "boxes that have a class that is not known: 1 (left out): a.xml sell (1, 2, 8, 9)",
        "boxes that are there twice: 1 (left out): a.xml cell (1, 2, 8, 9)",
    ]


def test_images(tmp_path):
    there = Annotated(image(tmp_path), (NamedBox(GOOD, "cell"),), tmp_path / "a.xml", (10, 20))
    bare = Annotated(image(tmp_path, "b.png"), (), tmp_path / "b.xml", (99, 20))
    gone = Annotated(tmp_path / "c.png", (NamedBox(GOOD, "cell"),), tmp_path / "c.xml")
    (tmp_path / "d.png").write_text("no image")
    broken = Annotated(tmp_path / "d.png", (), tmp_path / "d.xml")
    given = Reading(
        (there, bare, gone, broken, there),
        ("cell", "disc"),
        "set/train",
        (Unread(tmp_path / "e.xml", "is no XML"),),
    )
    kept, report = check_boxes(given)
    assert [each.file.name for each in kept] == ["a.png", "b.png"]
    assert [each.size for each in kept] == [(10, 20), (10, 20)]
    assert report.counts == {
        "unread": 1,
        "no image": 2,
        "repeated image": 1,
        "other size": 1,
        "no boxes": 1,
        "unused class": 1,
    }
    assert "b.xml 99×20, truly 10×20" in "\n".join(report.lines())
    assert report.to_json()["problems"][0]["detail"] == "is no XML"


def test_harmless_things_are_not_refused(tmp_path):
    given = reading(tmp_path, GOOD, size=(3, 3))
    kept, report = check_boxes(given, "refuse")
    assert len(kept) == 1
    assert report.counts == {"other size": 1}


def test_sideways_photographs_are_upright(tmp_path):
    turned = Image.new("RGB", (20, 10))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "a.jpg", exif=exif)
    one = Annotated(tmp_path / "a.jpg", (NamedBox((1.0, 12.0, 8.0, 19.0), "cell"),), tmp_path)
    (kept,), report = check_boxes(Reading((one,), ("cell",), "set/train"))
    assert kept.size == (20, 10)
    assert not report.problems


def test_nothing_left(tmp_path):
    gone = Annotated(tmp_path / "c.png", (NamedBox(GOOD, "cell"),), tmp_path / "c.xml")
    with pytest.raises(InputError, match=r"1, the first: .*c.xml .*; .*check the paths"):
        check_boxes(Reading((gone,), ("cell",), "set/train"))
