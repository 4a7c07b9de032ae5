"""`regard compare`, from a folder of pictures to a report."""

import pytest

from regard.compare.config import which_seeds

WORDS = (
    "--model", "resnet8(width=2)", "--attention", "none,eca", "--match", "none", "--seeds", "2",
    "--epochs", "1", "--batch-size", "16", "--device", "cpu", "--precision", "fp32",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    from regard.cli.main import run

    out = tmp_path_factory.mktemp("studies") / "small"
    assert run(["compare", "--data", str(pictures), *WORDS, "--out", str(out)]) == 0
    return out


def test_a_study_ends_in_a_report_that_can_be_rebuilt(finished, regard):
    page = finished / "report" / "report.html"
    before = page.read_bytes()
    page.unlink()
    told = regard("compare", "report", finished)
    assert told.code == 0
    assert page.read_bytes() == before
    assert "eca: " in told.out
    assert "n = 2 seeds" in told.out
    assert f"open {page}" in told.out


def test_json_is_all_that_is_printed(finished, pictures, regard):
    again = regard("compare", "--data", pictures, *WORDS, "--out", finished, "--json")
    assert again.code == 0
    assert [variant["name"] for variant in again.json["variants"]] == ["none", "eca"]


def test_each_variant_is_shown_on_each_picture_with_a_verdict(finished, regard):
    found = regard("compare", "report", finished, "--json").json
    assert len(found["pictures"]) == 2, "one a class, and there are two"
    for picture in found["pictures"]:
        assert [shown["variant"] for shown in picture["maps"]] == ["none", "eca"]
        assert all(shown["level"] for shown in picture["maps"])


def test_an_exported_study_merges_into_a_new_one_and_is_told_there(finished, regard, tmp_path):
    file, place = tmp_path / "part.json", tmp_path / "all"
    told = regard("compare", "export", finished, "--out", file, "--json")
    assert told.json == {"file": str(file), "runs": 4, "tests": 4}
    told = regard("compare", "merge", place, file)
    assert told.code == 0
    assert "4 runs and 4 test figures taken" in told.out
    again = regard("compare", "merge", place, finished, "--json").json
    assert [(part["runs"], part["known"]) for part in again["parts"]] == [(0, 4)]
    here, there = (regard("compare", "report", it, "--json").json for it in (finished, place))
    assert there["variants"] == here["variants"]
    assert there["study"] == here["study"]


def test_seeds_may_be_how_many_or_which():
    assert which_seeds("5") == 5
    assert which_seeds("5-7") == (5, 6, 7)
    assert which_seeds("0, 3,8-9") == (0, 3, 8, 9)
    assert which_seeds("7-7") == (7,)
    assert which_seeds(None) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("report",), "give one study's folder"),
        (("export",), "give one study's folder"),
        (("export", "{empty}"), "holds no study"),
        (("merge", "a"), "what to merge into it"),
        (("merge", "{empty}", "{empty}"), "holds no study"),
        (("report", "a", "--epochs", "3"), "`regard compare report` takes no --epochs"),
        (("merge", "a", "b", "--out", "c"), "`regard compare merge` takes no --out"),
        (("--seeds", "9-5"), "give how many, as 5, or which"),
        (("--seeds", "-1"), "give how many, as 5, or which"),
        (("--seeds", "0"), "give how many"),
        (("report", "{empty}"), "holds no study"),
        (("nothing.py",), "nothing.py does not exist"),
        (("a.py", "b.py"), "give one study's file"),
        (("--attention", "ecca"), "did you mean"),
        (("--learning-rates", "a,b"), "give numbers and commas"),
        (("--match", "size"), "unknown match"),
        (("--processes", "2", "--ray", "local"), "give one"),
        (("--trial-gpus", "0.5"), "--trial-gpus is for a cluster; give --ray"),
        (("--task", "detecc"), "unknown task"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(words, message, regard, tmp_path, pictures):
    words = [str(tmp_path) if word == "{empty}" else word for word in words]
    if not words[0].endswith(".py") and words[0] not in ("report", "export", "merge"):
        words += ["--data", str(pictures), "--out", str(tmp_path / "study")]
    told = regard("compare", *words)
    assert told.code == 2
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_cluster_that_does_not_answer_is_one_line_too(regard, tmp_path, pictures):
    pytest.importorskip("ray", reason="needs the extra cluster: pip install 'regard[cluster]'")
    place = tmp_path / "study"
    told = regard("compare", "--data", pictures, *WORDS, "--out", place, "--ray", "127.0.0.1:1")
    assert told.code == 2
    assert "no Ray cluster answers" in told.err
    assert told.err.count("\n") == 1
