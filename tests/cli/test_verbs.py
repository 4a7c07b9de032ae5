"""Each verb does its job, and its --json is one JSON value and nothing else."""

import json

import pytest
from PIL import Image

import regard as package
from regard.attention import mechanisms
from regard.train.device import cpu_has_bf16


def test_list_gives_an_array(regard):
    found = regard("list", "mechanisms", "--json")
    assert found.code == 0
    assert {row["name"] for row in found.json} == set(mechanisms)
    assert {"resnet20", "textbook_cnn", "vit"} <= {
        row["name"] for row in regard("list", "models", "--json").json
    }
    assert {"scenes", "cifar10"} <= {row["name"] for row in regard("list", "data", "--json").json}


def test_list_for_people_names_every_mechanism(regard):
    words = regard("list", "mechanisms").out
    assert all(name in words for name in mechanisms)


def test_version(regard):
    assert regard("--version").out.strip() == package.__version__


def test_a_run_folder_holds_what_a_reader_needs(trained):
    assert {"config.json", "model.safetensors", "metrics.jsonl", "card.md"} <= {
        path.name for path in trained.iterdir()
    }
    assert not (trained / "checkpoint.pt").exists()
    config = json.loads((trained / "config.json").read_text())
    assert config["labels"] == ["checked-square", "striped-disc"]
    assert config["recipe"]["epochs"] == 1
    assert config["precision"] == ("bf16-mixed" if cpu_has_bf16() else "32-true")
    card = (trained / "card.md").read_text()
    assert "multi_head(num_heads=2, size=4)" in card
    assert "48 training images" in card


def test_a_run_loads_and_predicts_what_it_was_evaluated_with(trained, pictures, regard, tmp_path):
    found = regard("evaluate", trained, "--data", pictures, "--out", tmp_path, "--json")
    assert found.code == 0
    figures = found.json
    model = package.load(trained)
    right = total = 0
    for path in sorted((pictures / "test").rglob("*.png")):
        logits = model(model.prepare(Image.open(path)))
        right += model.labels[int(logits.argmax())] == path.parent.name
        total += 1
    assert (figures["accuracy"], figures["images"]) == (pytest.approx(right / total), total)
    low, high = figures["interval"]
    assert low <= figures["accuracy"] <= high
    assert sum(map(sum, figures["confusion"])) == total
    assert {"evaluation.json", "confusion.png", "mistakes.png"} == {
        path.name for path in tmp_path.iterdir()
    }


def test_evaluate_finds_the_data_that_the_run_names(trained, regard):
    found = regard("evaluate", trained)
    assert found.code == 0
    assert "accuracy" in found.out
    assert (trained / "evaluation" / "confusion.png").is_file()


def test_walk_writes_a_page_of_the_run(trained, pictures, regard, tmp_path):
    image = next((pictures / "test").rglob("*.png"))
    found = regard("walk", image, "--model", trained, "--out", tmp_path, "--json")
    assert found.code == 0
    summary = found.json
    assert sum(summary["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert any("layer3" in site for site in summary["sites"])
    assert (tmp_path / "index.html").stat().st_size < 3_000_000
    assert all((tmp_path / name).is_file() for name in map(_name, summary["pictures"]))


def _name(path):
    return path.rsplit("/", 1)[-1]


def test_training_twice_into_the_same_folder_is_refused(trained, pictures, regard):
    before = (trained / "model.safetensors").read_bytes()
    found = regard("train", "classify", "--data", pictures, "--out", trained)
    assert found.code == 2
    assert "holds a finished run" in found.err
    assert (trained / "model.safetensors").read_bytes() == before


def test_going_on_with_other_options_is_refused(pictures, regard, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"started")
    (tmp_path / "config.json").write_text(json.dumps({"task": "classify", "model": {}}))
    found = regard("train", "classify", "--data", pictures, "--model", "resnet8", "--out", tmp_path)
    assert found.code == 2
    assert "the beginning of another run (model was {}" in found.err


def test_a_run_of_an_earlier_version_is_gone_on_with(trained, pictures, regard, tmp_path):
    """What was not there yet had the value that is now its default."""
    config = json.loads((trained / "config.json").read_text())
    del config["preprocessing"]["margin"], config["recipe"]["clip"]
    again = ("train", "classify", "--data", pictures, "--model", "resnet8", "--epochs", "1")
    again += ("--attention", "multi_head(num_heads=2, size=4)", "--batch-size", "16")
    again += ("--device", "cpu", "--out", tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint, which is said next")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "beginning of another run" not in regard(*again).err
    config["preprocessing"]["crop_fraction"] = 0.5
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "beginning of another run (preprocessing was" in regard(*again).err


def test_list_methods_says_what_each_answers(regard):
    rows = {row["name"]: row for row in regard("list", "methods", "--json").json}
    assert rows["grad_cam"]["answers"].endswith("?")
    assert rows["rise"]["family"] == "perturbation"
    assert "seed" in rows["rise"]["options"]
