"""Images and masks are found in the documented layouts; what is wrong with one is one line."""

import logging

import numpy as np
import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data.class_list import read_class_list
from regard.data.mask_folder import has_mask_folders, load_mask_folder

VALUES = np.array([[0, 1, 1], [2, 2, 0]], np.uint8)
COLOURS = {0: (0, 0, 0), 1: (10, 20, 30), 2: (200, 0, 0), 255: (255, 255, 255)}


def save_image(path, size=(3, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (9, 8, 7)).save(path)


def save_mask(path, values=VALUES, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(values, np.uint8)
    if mode == "RGB":
        Image.fromarray(np.array([[COLOURS[v] for v in row] for row in values], np.uint8)).save(
            path
        )
        return
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([v for i in range(256) for v in COLOURS.get(i, (1, 1, 1))])
    image.save(path)


def pairs(folder, images, masks, names=("a", "b"), **how):
    for name in names:
        save_image(folder / images / f"{name}.jpg")
        save_mask(folder / masks / f"{name}{how.get('ending', '')}.png", mode=how.get("mode", "L"))
    return folder


@pytest.mark.parametrize(
    ("images", "masks", "ending"),
    [
        ("train/images", "train/masks", ""),
        ("images/train", "labels/train", ""),
        ("train", "train_labels", "_L"),
        ("train", "trainannot", ""),
        ("images", "masks", "_mask"),
    ],
)
def test_layouts(tmp_path, images, masks, ending):
    pairs(tmp_path / "set", images, masks, ending=ending)
    assert has_mask_folders(tmp_path / "set")
    found = load_mask_folder(tmp_path / "set")
    assert len(found) == 2
    assert found.name == "set/train"
    assert found.size == (2, 3)
    image, mask = found.pairs.read(1)
    assert image.shape == (3, 2, 3)
    assert mask.tolist() == VALUES.tolist()


def test_pascal_voc(tmp_path):
    pairs(tmp_path, "JPEGImages", "SegmentationClass", names=("a", "b", "c"), mode="P")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nc\n")
    (lists / "val.txt").write_text("b\n")
    found = load_mask_folder(tmp_path)
    assert [found.pairs.title(i) for i in range(2)] == ["a.jpg", "c.jpg"]
    assert found.classes[:2] == ("background", "aeroplane")
    assert len(found.classes) == 21
    assert len(load_mask_folder(tmp_path, "val")) == 1
    with pytest.raises(InputError, match="unknown split"):
        load_mask_folder(tmp_path, "test")


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_class_called_void_is_none_wherever_it_stands(tmp_path, mode):
    pairs(tmp_path, "images", "masks", mode=mode)
    (tmp_path / "classes.txt").write_text("0 sky 0 0 0\n1 void 10 20 30\n2 car 200 0 0\n")
    found = load_mask_folder(tmp_path)
    assert found.classes == ("sky", "car")
    assert found.pairs.read(0)[1].tolist() == [[0, 255, 255], [1, 1, 0]]


def test_black_and_white_masks_are_background_and_foreground(tmp_path):
    save_image(tmp_path / "images/a.png")
    save_mask(tmp_path / "masks/a.png", [[0, 255, 255], [0, 0, 0]])
    found = load_mask_folder(tmp_path)
    assert found.classes == ("background", "foreground")
    assert found.pairs.read(0)[1].tolist() == [[0, 1, 1], [0, 0, 0]]


def test_classes_without_names_are_the_same_in_every_split(tmp_path):
    pairs(tmp_path, "train/images", "train/masks")
    save_image(tmp_path / "test/images/x.png")
    save_mask(tmp_path / "test/masks/x.png", [[0, 0, 0], [4, 255, 0]])
    assert load_mask_folder(tmp_path, "train").classes == ("0", "1", "2", "3", "4")
    test = load_mask_folder(tmp_path, "test")
    assert test.classes == ("0", "1", "2", "3", "4")
    assert test.pairs.read(0)[1].tolist() == [[0, 0, 0], [4, 255, 0]]


def left_out(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "regard"):
        found = load_mask_folder(tmp_path)
    assert len(found) == 2
    assert len(found.problems) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "1 of 3 images are left out, the first: " in line
    return found.problems[0]


def test_an_image_without_a_mask_is_left_out_and_said(tmp_path, caplog):
    save_image(pairs(tmp_path, "images", "masks") / "images/lonely.jpg")
    assert "lonely.jpg has no mask in" in left_out(tmp_path, caplog)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0, 7, 7], [0, 0, 0]], "has 2 pixels of value 7, which is no class (0 to 2"),
        (np.zeros((6, 6)), "is 6×6 pixels and its image 3×2"),
        (None, "is no mask that can be read"),
    ],
)
def test_a_mask_that_does_not_fit_is_left_out_and_said(tmp_path, caplog, values, message):
    pairs(tmp_path, "images", "masks")
    (tmp_path / "classes.txt").write_text("sky\ncar\nroad\n")
    save_image(tmp_path / "images/z.jpg")
    if values is None:
        (tmp_path / "masks/z.png").write_bytes(b"no picture")
    else:
        save_mask(tmp_path / "masks/z.png", values)
    assert message in left_out(tmp_path, caplog)


def test_an_unknown_colour_is_named(tmp_path):
    pairs(tmp_path, "images", "masks", mode="RGB")
    (tmp_path / "classes.txt").write_text("sky 0 0 0\ncar 10 20 30\n")
    with pytest.raises(InputError, match=r"2 pixels of the colour 200 0 0, which is no class"):
        load_mask_folder(tmp_path)


def test_a_mask_of_half_the_size_is_brought_to_the_image_s(tmp_path):
    save_image(tmp_path / "images/a.png", size=(6, 4))
    save_mask(tmp_path / "masks/a.png")
    mask = load_mask_folder(tmp_path).pairs.read(0)[1]
    assert mask.tolist() == VALUES.repeat(2, 0).repeat(2, 1).tolist()


def test_colours_that_nobody_names_are_refused(tmp_path):
    pairs(tmp_path, "images", "masks", mode="RGB")
    with pytest.raises(InputError, match=r"no file says which colour is which class; write .*txt"):
        load_mask_folder(tmp_path)


def test_a_split_that_is_not_there_is_refused(tmp_path):
    pairs(tmp_path, "images", "masks")
    with pytest.raises(InputError, match="is not divided into splits, so it has no 'test'"):
        load_mask_folder(tmp_path, "test")
    with pytest.raises(InputError, match="give images/ and masks/ folders"):
        load_mask_folder(tmp_path / "images")


@pytest.mark.parametrize(
    ("text", "names", "values", "colours"),
    [
        ("sky\ntraffic light\n", ("sky", "traffic light"), (0, 1), None),
        ("# mine\n\n1: sky\n0: road\n", ("road", "sky"), (0, 1), None),
        (
            "name,r,g,b\nsky,1,2,3\nred car,4,5,6\n",
            ("sky", "red car"),
            (0, 1),
            ((1, 2, 3), (4, 5, 6)),
        ),
        ("1 2 3\tsky\n4 5 6\tcar", ("sky", "car"), (0, 1), ((1, 2, 3), (4, 5, 6))),
        ("sky:1,2,3::\ncar:4,5,6::", ("sky", "car"), (0, 1), ((1, 2, 3), (4, 5, 6))),
        ("class 1\nclass 2", ("class 1", "class 2"), (0, 1), None),
        ("7 sky\n9 unlabelled\n8 car", ("sky", "car"), (7, 8), None),
    ],
)
def test_lists_of_classes(tmp_path, text, names, values, colours):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    found = read_class_list(path)
    assert (found.names, found.values, found.colours) == (names, values, colours)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no classes"),
        ("void\n", "names no class but void"),
        ("sky\n1 2 3\n", "line 2, '1 2 3', has no class name"),
        ("1 2 sky\n", "cannot be understood"),
        ("sky 1 2 300\n", "colours end at 255"),
        ("sky\nsky\n", "the name sky occurs twice"),
        ("0 sky\n0 car\n", "the index 0 occurs twice"),
        ("sky 1 2 3\ncar 1 2 3\n", "occurs twice"),
        ("sky 1 2 3\ncar\n", "class 'car' has no colour"),
    ],
)
def test_lists_that_cannot_be_understood_are_refused(tmp_path, text, message):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_class_list(path)


@pytest.mark.data
def test_camvid(real_data):
    found = load_mask_folder(real_data / "camvid", "val")
    assert (len(found), len(found.classes), found.problems) == (101, 11, ())
    assert found.classes[8] == "car"
    assert 255 in found.pairs.read(0)[1]
