"""Files and folders that a user names become the pictures that are meant."""

import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data.picture_files import picture_files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.png", "a.JPG", "deep/c.webp", ".hidden.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name, format="PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_stands_for_its_pictures(folder):
    names = [file.relative_to(folder).as_posix() for file in picture_files([folder])]
    assert names == ["a.JPG", "b.png", "deep/c.webp"]


def test_a_named_file_is_taken_as_it_is(folder):
    assert picture_files([folder / "notes.txt"]) == [folder / "notes.txt"]


def test_no_file_comes_twice(folder):
    assert len(picture_files([folder / "b.png", folder])) == 3


def test_what_is_missing_or_empty_is_refused(folder):
    with pytest.raises(InputError, match="does not exist"):
        picture_files([folder / "nothing.png"])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        picture_files([folder / "empty"])
