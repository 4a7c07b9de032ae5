"""CIFAR-10 is found in all its forms, and nothing untrusted is run."""

import gzip
import io
import json
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data import load_cifar10
from regard.data.recognise import recognise

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SPLITS = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "cache"))


def pixels(split):
    """Return ten images a batch, (n, 3, 32, 32), in an order that names the batch."""
    rng = np.random.default_rng(len(split))
    return rng.integers(0, 256, (10 * len(SPLITS[split]), 3, 32, 32), dtype=np.uint8)


def write_batches(folder):
    """Write the folder as the authors do; protocol 3, whose bytes are those of Python 2's str."""
    folder.mkdir(parents=True)
    for split, batches in SPLITS.items():
        for number, name in enumerate(batches):
            chosen = pixels(split)[10 * number : 10 * number + 10].reshape(10, 3072)
            content = {b"data": chosen, b"labels": list(range(10)), b"batch_label": name.encode()}
            (folder / name).write_bytes(pickle.dumps(content, protocol=3))
    meta = {b"label_names": [name.encode() for name in NAMES]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=3))
    return folder


def write_parquet(folder):
    folder.mkdir(parents=True)
    features = {"label": {"names": NAMES}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split in SPLITS:
        rows = []
        for image in pixels(split):
            file = io.BytesIO()
            Image.fromarray(image.transpose(1, 2, 0)).save(file, "png")
            rows.append({"bytes": file.getvalue(), "path": None})
        labels = list(range(10)) * len(SPLITS[split])
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"img": pa.array(rows, kind), "label": labels})
        pq.write_table(table.replace_schema_metadata(metadata), folder / f"{split}-0-of-1.parquet")
    return folder


def write_images(folder):
    for split in SPLITS:
        for index, image in enumerate(pixels(split)):
            path = folder / split / NAMES[index % 10] / f"{index:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(path)
    return folder


def write_archive(tmp_path):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
    return tmp_path / "cifar-10-python.tar.gz"


FORMS = {
    "archive": write_archive,
    "batches": lambda tmp_path: write_batches(tmp_path / "cifar-10-batches-py"),
    "parent": lambda tmp_path: write_batches(tmp_path / "x" / "cifar-10-batches-py").parent,
    "parquet": lambda tmp_path: write_parquet(tmp_path / "cifar10"),
    "nested parquet": lambda tmp_path: write_parquet(tmp_path / "cifar10" / "plain_text").parent,
    "images": lambda tmp_path: write_images(tmp_path / "images"),
}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(tmp_path, form, split):
    path = FORMS[form](tmp_path)
    for attempt in ("decoded", "from the cache"):
        dataset = load_cifar10(path, split)
        assert dataset.name == f"cifar10/{split}", attempt
        assert dataset.classes == tuple(NAMES)
        expected = sorted(image.tobytes() for image in pixels(split))
        assert sorted(image.numpy().tobytes() for image in dataset.images) == expected
        if form != "images":  # a folder's order is by class
            assert np.array_equal(dataset.images.numpy(), pixels(split))
        assert dataset.labels.bincount().tolist() == [len(SPLITS[split])] * 10


def test_labels_belong_to_their_images(tmp_path):
    folder = load_cifar10(write_images(tmp_path / "images"), "train")
    official = load_cifar10(write_archive(tmp_path), "train")
    labels = {
        i.numpy().tobytes(): int(n) for i, n in zip(official.images, official.labels, strict=True)
    }
    for image, label in zip(folder.images, folder.labels, strict=True):
        assert labels[image.numpy().tobytes()] == label


class Evil:
    def __reduce__(self):
        return print, ("code from the pickle ran",)


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_a_pickle_that_calls_something_is_refused(tmp_path, capsys, name):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    (folder / name).write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(InputError, match=r"it asks for builtins\.print"):
        load_cifar10(folder)
    assert capsys.readouterr().out == ""


def test_an_array_of_objects_is_refused(tmp_path):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    content = {b"data": np.array([[1, "x"]], dtype=object), b"labels": [0]}
    (folder / "test_batch").write_bytes(pickle.dumps(content, protocol=3))
    with pytest.raises(InputError, match="not \\(n, 3072\\) bytes"):
        load_cifar10(folder, "test")


@pytest.mark.parametrize("keep", [0.0, 0.2, 0.9])
def test_archive_cut_short(tmp_path, keep):
    archive = write_archive(tmp_path)
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match=r"cifar-10-python\.tar\.gz (is damaged|lacks)"):
        load_cifar10(archive)


def test_archive_of_something_else(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(b"no tar"))
    with pytest.raises(InputError, match="is damaged"):
        load_cifar10(tmp_path / "x.tar.gz")


def test_batch_cut_short_and_missing(tmp_path):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    data = (folder / "data_batch_2").read_bytes()
    (folder / "data_batch_2").write_bytes(data[:1000])
    with pytest.raises(InputError, match="data_batch_2 cannot be trusted or read"):
        load_cifar10(folder)
    (folder / "data_batch_2").unlink()
    with pytest.raises(InputError, match="lacks data_batch_2"):
        load_cifar10(folder)


def test_not_cifar10(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "pets" / name / "a.png")
    with pytest.raises(InputError, match="2 classes of images of 32×32; CIFAR-10 has 10"):
        load_cifar10(tmp_path / "pets")


def test_no_such_split_or_path(tmp_path):
    with pytest.raises(InputError, match="unknown split of CIFAR-10 'tset'; did you mean test"):
        load_cifar10(tmp_path, "tset")
    with pytest.raises(InputError, match="does not exist; give cifar-10-python"):
        load_cifar10(tmp_path / "none")
    with pytest.raises(InputError, match="holds no data set"):
        recognise(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"notes\.txt is no data set"):
        recognise(tmp_path / "notes.txt")


@pytest.mark.data
@pytest.mark.slow
def test_real_cifar10(real_data):
    test = load_cifar10(real_data / "cifar10", "test")
    assert len(test) == 10_000
    assert test.classes == tuple(NAMES)
    assert test.labels.bincount().tolist() == [1000] * 10
    # What a person sees in the first pictures of this copy.
    assert [test.classes[label] for label in test.labels[:4]] == [
        "truck",
        "cat",
        "horse",
        "airplane",
    ]
