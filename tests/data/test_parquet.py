"""Parquet folders: what is missing or damaged is named."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data import load_parquet


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "cache"))


def png(size=(4, 4), colour="red"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "png")
    return file.getvalue()


def write(folder, split="train", **columns):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{split}-00000.parquet")
    return folder


def test_plain_bytes_and_no_class_names(tmp_path):
    folder = write(tmp_path / "set", image=[png(), png(colour="blue")], labels=[2, 0])
    dataset = load_parquet(folder, "train")
    assert dataset.classes == ("0", "1", "2")
    assert dataset.labels.tolist() == [2, 0]
    assert dataset.images[1, :, 0, 0].tolist() == [0, 0, 255]
    assert dataset.name == "set/train"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"img": [png()]}, "no column label or labels; its columns: img"),
        ({"picture": [png()], "label": [0]}, "no column img or image"),
        ({"img": [png(), None], "label": [0, 1]}, "row 1 lacks its image"),
        ({"img": [png(), png((5, 4))], "label": [0, 1]}, "2 different sizes"),
        ({"img": [png(), b"no image"], "label": [0, 1]}, r"row 1 is not an image"),
        ({"img": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}, "no rows"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        load_parquet(write(tmp_path / "set", **columns), "train")


def test_missing_split_and_damaged_file(tmp_path):
    folder = write(tmp_path / "set", img=[png()], label=[0])
    with pytest.raises(InputError, match=r"no test-.*splits there: train"):
        load_parquet(folder, "test")
    (folder / "train-00000.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(InputError, match="not readable as parquet"):
        load_parquet(folder, "train")
