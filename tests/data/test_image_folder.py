"""Your own images are found, in whatever of the documented layouts they lie."""

import logging

import numpy as np
import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data import FolderDataset, ImageDataset, load_image_folder
from regard.data import image_folder as module


def save(path, size=(6, 5), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def two_classes(folder, sizes=((6, 5), (6, 5)), names=("cat", "dog")):
    for name, size in zip(names, sizes, strict=True):
        for index in range(3):
            save(folder / name / f"{index}.png", size, value=10 * index + len(name))
    return folder


def test_equal_sizes_are_kept_in_memory(tmp_path):
    dataset = load_image_folder(two_classes(tmp_path / "pets"))
    assert isinstance(dataset, ImageDataset)
    assert dataset.size == (5, 6)
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.images[:, 0, 0, 0].tolist() == [3, 13, 23, 3, 13, 23]
    assert dataset.name == "pets/train"


def test_other_sizes_stay_files(tmp_path):
    folder = two_classes(tmp_path / "pets", sizes=((6, 5), (5, 6)))
    dataset = load_image_folder(folder)
    assert isinstance(dataset, FolderDataset)
    assert [path.name for path in dataset.files] == ["0.png", "1.png", "2.png"] * 2
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_too_much_for_memory_stays_files(tmp_path, monkeypatch):
    two_classes(tmp_path / "pets")
    monkeypatch.setattr(module, "IN_MEMORY_LIMIT", 6 * 6 * 5 * 3)
    assert isinstance(load_image_folder(tmp_path / "pets"), ImageDataset)
    monkeypatch.setattr(module, "IN_MEMORY_LIMIT", 6 * 6 * 5 * 3 - 1)
    assert isinstance(load_image_folder(tmp_path / "pets"), FolderDataset)


def test_splits(tmp_path):
    two_classes(tmp_path / "train")
    two_classes(tmp_path / "validation", sizes=((6, 5),), names=("dog",))
    assert load_image_folder(tmp_path, "train").labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert load_image_folder(tmp_path, "val").labels.tolist() == [1, 1, 1]
    with pytest.raises(InputError, match=r"unknown split .* 'test'; choose from: train, val"):
        load_image_folder(tmp_path, "test")
    two_classes(tmp_path / "test", names=("cat", "cow"))
    with pytest.raises(InputError, match=r"cow has no counterpart in .*train"):
        load_image_folder(tmp_path, "test")


def test_without_splits_there_is_no_test_set(tmp_path):
    two_classes(tmp_path)
    assert len(load_image_folder(tmp_path, "all")) == 6
    with pytest.raises(InputError, match="not divided into splits, so it has no 'test'"):
        load_image_folder(tmp_path, "test")


def test_what_is_no_image_is_passed_over(tmp_path, caplog):
    two_classes(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("x")
    (tmp_path / "cat" / "._0.png").write_bytes(b"what macOS leaves beside a file")
    (tmp_path / ".thumbnails").mkdir()
    save(tmp_path / "cat" / "kittens" / "9.PNG")
    assert len(load_image_folder(tmp_path)) == 7
    assert not caplog.text


def test_empty_and_single_classes(tmp_path):
    save(tmp_path / "cat" / "0.png")
    with pytest.raises(InputError, match=r"one class only .*cat"):
        load_image_folder(tmp_path)
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match=r"class folder .*dog holds no images"):
        load_image_folder(tmp_path)


def test_no_images(tmp_path):
    with pytest.raises(InputError, match="has no images"):
        load_image_folder(tmp_path)


def test_unreadable_images_are_left_out_and_counted(tmp_path, caplog):
    two_classes(tmp_path)
    (tmp_path / "cat" / "1.png").write_bytes((tmp_path / "cat" / "1.png").read_bytes()[:50])
    (tmp_path / "dog" / "2.png").write_text("no image")
    with caplog.at_level(logging.WARNING, "regard"):
        dataset = load_image_folder(tmp_path)
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert "2 of 6 images are left out" in caplog.text
    assert str(tmp_path / "cat" / "1.png") in caplog.text


def test_nothing_readable(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_text("no image")
    dataset = load_image_folder(tmp_path)
    assert isinstance(dataset, FolderDataset), "no size is known; reading will say what is wrong"


# --- csv ---------------------------------------------------------------------------------------


def write_csv(tmp_path, text):
    for index in range(4):
        save(tmp_path / "images" / f"{index}.png", value=index)
    (tmp_path / "list.csv").write_text(text)
    return tmp_path / "list.csv"


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nimages/0.png,b\nimages/1.png,a\nimages/2.png,b\n",
        "images/0.png,b\nimages/1.png,a\nimages/2.png,b\n",
        "id,Category,FileName\n7,b,images/0.png\n8,a,images/1.png\n\n9,b,images/2.png\n",
        "\ufeffimage,class\nimages/0.png,b\nimages/1.png, a\nimages/2.png,b\n",
    ],
)
def test_csv_with_and_without_a_header(tmp_path, text):
    dataset = load_image_folder(write_csv(tmp_path, text))
    assert dataset.classes == ("a", "b")
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_csv_splits_share_their_classes(tmp_path):
    rows = "images/0.png,10,train\nimages/1.png,9,train\nimages/2.png,10,test\n"
    path = write_csv(tmp_path, "path,label,split\n" + rows)
    assert load_image_folder(path, "train").classes == ("9", "10"), "numbers sort as numbers"
    assert load_image_folder(path, "test").labels.tolist() == [1]
    with pytest.raises(InputError, match="'val'; choose from: test, train"):
        load_image_folder(path, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,mark\nimages/0.png,1\n", r"no label column \(columns: path, mark\)"),
        ("where,label\nimages/0.png,1\n", "no path column"),
        ("path,label\nimages/0.png,1\nimages/1.png\n", "row 2 has too few columns"),
        ("path,label\nimages/0.png,1\nimages/1.png,1\n", "one class only"),
        ("path,label\n", "has no images"),
    ],
)
def test_csv_that_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_image_folder(write_csv(tmp_path, text))


def test_csv_that_is_binary(tmp_path):
    (tmp_path / "x.csv").write_bytes(np.arange(128, 255, dtype=np.uint8).tobytes())
    with pytest.raises(InputError, match="cannot be read as csv"):
        load_image_folder(tmp_path / "x.csv")


# --- the value type ----------------------------------------------------------------------------


def test_subset_and_fingerprint(tmp_path):
    whole = load_image_folder(two_classes(tmp_path, sizes=((6, 5), (5, 6))))
    chosen = whole.subset([4, -6])
    assert [path.parent.name for path in chosen.files] == ["dog", "cat"]
    assert chosen.labels.tolist() == [1, 0]
    assert len(whole.subset(slice(1, 3))) == 2
    assert whole.subset(range(6)).fingerprint == whole.fingerprint
    assert chosen.fingerprint != whole.fingerprint
    with pytest.raises(InputError, match="there is no image 6"):
        whole.subset([6])
