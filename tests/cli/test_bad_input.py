"""Bad input gets one line that says what is wrong, exit code 2, and leaves nothing behind."""

import errno
import os
import shutil

import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.core.files import atomic_write

BOMB = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00"
    b"\xf5\xa3\xfc\x1b"
)


def refused(outcome):
    """Return the one line of a refusal."""
    assert outcome.code == 2, (outcome.out, outcome.err)
    assert outcome.out == ""
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("regard: ")
    return lines[0]


def broken(tmp_path, kind):
    path = tmp_path / f"{kind}.jpg"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no picture")
    elif kind == "truncated":
        Image.effect_noise((64, 64), 50).convert("RGB").save(path)
        path.write_bytes(path.read_bytes()[:500])
    elif kind == "bomb":
        path.write_bytes(BOMB)
    return path


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "truncated", "bomb"])
def test_a_file_that_is_no_picture(regard, trained, tmp_path, kind):
    path = broken(tmp_path, kind)
    line = refused(regard("walk", path, "--model", trained, "--out", tmp_path / "out"))
    assert path.name in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "resnet21"), "did you mean resnet2"),
        (("--model", "timm:resnet19"), "did you mean"),
        (("--model", "resnet20(width=)"), "cannot read the options of model"),
        (("--model", "resnet20 please"), "cannot read model"),
        (("--model", "resnet20(depth=3)"), "depth"),
        (("--attention", "sqeeze_excite"), "did you mean squeeze_excite"),
        (("--attention", "eca@layr3"), "did you mean layer3"),
        (("--attention", "eca@layer9*"), "matches no module"),
        (("--attention", "eca(size=)"), "cannot read"),
        (("--attention", "cross"), "takes a second map"),
        (("--epochs", "0"), "epochs must be at least 1"),
        (("--lr", "-1"), "lr must be above 0"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--precision", "fp8"), "unknown precision 'fp8'"),
        (("--recipe", "adamw"), "unknown recipe 'adamw'"),
        (("--seed", "-1"), "seed"),
        (("--batch-size", "many"), "batch-size"),
        (("--layers", "3"), "No such option"),
        (("--validation", "0.999"), "0.9"),
    ],
)
def test_train_refuses_what_does_not_exist(regard, pictures, tmp_path, arguments, message):
    out = tmp_path / "run"
    line = refused(regard("train", "classify", "--data", pictures, "--out", out, *arguments))
    assert message in line
    assert not (out / "model.safetensors").exists()


def test_data_that_is_not_there(regard, tmp_path):
    line = refused(regard("train", "classify", "--data", tmp_path / "no", "--out", tmp_path / "o"))
    assert "does not exist" in line
    assert not (tmp_path / "o").exists()


def test_an_empty_class_folder(regard, pictures, tmp_path):
    data = shutil.copytree(pictures, tmp_path / "data")
    (data / "train" / "ring").mkdir()
    line = refused(regard("train", "classify", "--data", data, "--out", tmp_path / "out"))
    assert "ring" in line
    assert "holds no images" in line


def test_another_number_of_classes(regard, trained, pictures, tmp_path):
    data = shutil.copytree(pictures, tmp_path / "data")
    for split in ("train", "test"):
        shutil.copytree(data / split / "striped-disc", data / split / "third")
    line = refused(regard("evaluate", trained, "--data", data))
    assert "knows 2 classes" in line
    assert "has 3" in line


def test_images_of_another_size(regard, trained, tmp_path):
    for name in ("train/checked-square", "train/striped-disc", "test/checked-square"):
        (tmp_path / name).mkdir(parents=True)
        for index in range(3):
            Image.new("RGB", (20, 24 + index)).save(tmp_path / name / f"{index}.png")
    outcome = regard("evaluate", trained, "--data", tmp_path, "--out", tmp_path / "figures")
    # Files are brought to the model's size.
    assert outcome.code == 0, outcome.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_cannot_be_written(regard, trained, pictures, tmp_path):
    tmp_path.chmod(0o500)
    image = next((pictures / "test").rglob("*.png"))
    line = refused(regard("walk", image, "--model", trained, "--out", tmp_path / "out"))
    assert "permission denied" in line


def test_an_output_where_a_file_is_in_the_way(regard, trained, pictures, tmp_path):
    (tmp_path / "out").write_text("mine")
    image = next((pictures / "test").rglob("*.png"))
    line = refused(regard("walk", image, "--model", trained, "--out", tmp_path / "out"))
    assert "a file is in the way" in line
    assert (tmp_path / "out").read_text() == "mine"


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"old")

    def write():
        with atomic_write(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match="no space is left on the device"):
        write()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights"]


def test_a_model_that_is_not_there(regard, pictures, tmp_path):
    image = next((pictures / "test").rglob("*.png"))
    assert "did you mean" in refused(regard("walk", image, "--model", "bundled:cifar10-resnet20"))
    assert "no model" in refused(regard("walk", image, "--model", "nothing"))
    assert "is not a run" in refused(regard("evaluate", tmp_path))


def test_a_damaged_run(regard, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors is damaged" in refused(regard("evaluate", run))
    (run / "config.json").write_text("{")
    assert "config.json cannot be read" in refused(regard("evaluate", run))
    weights.unlink()
    shutil.copy(trained / "config.json", run / "config.json")
    assert "unfinished run" in refused(regard("evaluate", run))


def test_an_unknown_verb(regard):
    assert "No such command" in refused(regard("lok"))


def test_a_model_without_attention_cannot_be_walked_through(regard, pictures, tmp_path):
    run = tmp_path / "run"
    made = regard(
        *("train", "classify", "--data", pictures, "--model", "resnet8(width=2)", "--out", run),
        *("--attention", "none", "--epochs", 1, "--batch-size", 16, "--precision", "fp32"),
    )
    assert made.code == 0
    image = next((pictures / "test").rglob("*.png"))
    line = refused(regard("walk", image, "--model", run, "--out", tmp_path / "out"))
    assert "no attention ran" in line
