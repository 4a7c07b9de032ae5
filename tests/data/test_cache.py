"""The cache of decoded sets saves time and can do no harm."""

import logging

import pytest
import torch

from regard.data import ImageDataset
from regard.data.cache import cache_folder, cached_dataset, content_key


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "cache"))


def dataset():
    images = torch.arange(2 * 3 * 4 * 4).byte().view(2, 3, 4, 4)
    return ImageDataset(images, torch.tensor([1, 0]), ("a", "ä b"), "x")


def never():
    raise AssertionError("built again")


def entry(key="k"):
    return cache_folder() / "decoded" / f"{key}.safetensors"


def test_second_time_is_read():
    cached_dataset("k", dataset)
    again = cached_dataset("k", never)
    assert again.fingerprint == dataset().fingerprint
    assert (again.name, again.classes) == ("x", ("a", "ä b"))
    assert [path.name for path in entry().parent.iterdir()] == ["k.safetensors"]


@pytest.mark.parametrize("damage", ["empty", "cut", "a bit", "other tensors", "text"])
def test_damaged_entry_is_built_again(damage):
    cached_dataset("k", dataset)
    data = bytearray(entry().read_bytes())
    if damage == "a bit":
        data[-1] ^= 1
    elif damage == "other tensors":
        data = data.replace(b"images", b"imagez")
    entry().write_bytes({"empty": b"", "cut": data[:-9], "text": b"hello"}.get(damage, data))
    built = []
    for _ in range(2):
        again = cached_dataset("k", lambda: built.append(1) or dataset())
        assert again.fingerprint == dataset().fingerprint
    assert len(built) == 1


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING, "regard"):
        assert cached_dataset("k", dataset).fingerprint == dataset().fingerprint
    assert "could not be cached" in caplog.text


def test_failed_build_leaves_nothing():
    with pytest.raises(AssertionError):
        cached_dataset("k", never)
    assert not entry().exists()


def test_key_follows_content_and_parts(tmp_path):
    path = tmp_path / "x"
    path.write_text("one")
    first = content_key([path], "a")
    assert content_key([path], "b") != first
    path.write_text("two")
    assert content_key([path], "a") != first
