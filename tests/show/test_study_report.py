"""A study's files: whole, the same each time, and none where the study cannot be drawn."""

import json
from xml.etree import ElementTree

import pytest
from tests.show import studies

from regard.core.errors import InputError
from regard.show import study_report
from regard.show.study_markdown import markdown

FILES = ["curves.svg", "findings.json", "forest.svg", "pareto.svg", "report.html", "report.md"]


@pytest.fixture(scope="module")
def small():
    return studies.study(studies.network(mechanisms=("eca",), seeds=2))


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    return study_report.write(small, tmp_path_factory.mktemp("study") / "new" / "folder")


def test_all_files_are_there_and_are_what_they_are_called(small, written):
    paths = written
    assert sorted(paths) == FILES
    assert sorted(path.name for path in paths["report.md"].parent.iterdir()) == FILES
    assert paths["report.html"].read_text("utf-8").startswith("<!doctype html>")
    assert paths["report.md"].read_text("utf-8") == markdown(small)
    assert json.loads(paths["findings.json"].read_text("utf-8")) == small
    for name in ("forest.svg", "curves.svg", "pareto.svg"):
        assert ElementTree.parse(paths[name]).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert name in paths["report.md"].read_text("utf-8")


def test_the_same_study_gives_the_same_bytes(small, written, tmp_path):
    again = study_report.write(json.loads(json.dumps(small)), tmp_path)
    assert [path.read_bytes() for path in written.values()] == [
        path.read_bytes() for path in again.values()
    ]


def test_a_study_that_cannot_be_drawn_leaves_the_older_files(small, written):
    folder = written["report.md"].parent
    before = {name: path.read_bytes() for name, path in written.items()}
    broken = small | {"pictures": [{"label": "a", "image": "http://x", "maps": []}]}
    with pytest.raises(InputError, match="data URI"):
        study_report.write(broken, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_diverged_run_is_null_in_the_file(tmp_path):
    found = studies.study([studies.variant("none", "plain", [0.8, 0.7])])
    found["variants"][0]["curves"][0][3]["train_loss"] = float("nan")
    path = study_report.write(found, tmp_path)["findings.json"]
    assert "NaN" not in path.read_text("utf-8")
    assert json.loads(path.read_text("utf-8"))["variants"][0]["curves"][0][3]["train_loss"] is None


def test_a_place_that_cannot_be_written_to_is_said(small, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="cannot write"):
        study_report.write(small, tmp_path / "file")


def test_the_numbers_are_written_without_the_pixels_of_the_pictures(tmp_path):
    found = studies.study(studies.network(mechanisms=("eca",), seeds=2), pictures=1)
    paths = study_report.write(found, tmp_path)
    text = paths["findings.json"].read_text("utf-8")
    assert "data:image" not in text
    (picture,) = json.loads(text)["pictures"]
    assert [one["level"] for one in picture["maps"]] == [
        one["level"] for one in found["pictures"][0]["maps"]
    ]
    assert "data:image" in paths["report.html"].read_text("utf-8")
