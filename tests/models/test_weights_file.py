"""Tensors out of files, and nothing that a file says is ever run."""

import argparse
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from regard.core.errors import InputError
from regard.models.load import load
from regard.models.weights_file import read_weights

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


class Malicious:
    """Unpickling this makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("ending", ["safetensors", "pt", "pth", "bin", "ckpt"])
def test_every_kind_of_file_gives_its_tensors(tmp_path, ending):
    path = tmp_path / f"weights.{ending}"
    save_file(TENSORS, path) if ending == "safetensors" else torch.save(TENSORS, path)
    found = read_weights(path)
    same(found.tensors, TENSORS)
    assert found.taken == ()


@pytest.mark.parametrize("how", ["zip", "legacy", "plain"])
@pytest.mark.parametrize("beside", ["alone", "in a state dict"])
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path, how, beside):
    trap, path = tmp_path / "made by the pickle", tmp_path / "weights.pt"
    content = Malicious(trap) if beside == "alone" else {**TENSORS, "epoch": Malicious(trap)}
    if how == "plain":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(InputError, match=r"Python objects .* can run any code; save the weights"):
        load(f"timm:resnet18@{path}")
    assert not trap.exists()
    # The trap works: without the restriction, the folder is made.
    with path.open("rb") as file:
        pickle.load(file) if how == "plain" else torch.load(file, weights_only=False)  # noqa: S301
    assert trap.is_dir()


def test_whole_objects_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 3), path)
    with pytest.raises(InputError, match=r"safetensors\.torch\.save_file"):
        read_weights(path)
    torch.save({"args": argparse.Namespace(lr=1), "model": TENSORS}, path)
    with pytest.raises(InputError, match="Python objects"):
        read_weights(path)


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_a_truncated_file_is_damaged(tmp_path, ending, share):
    path = tmp_path / f"weights.{ending}"
    save_file(TENSORS, path) if ending == "safetensors" else torch.save(TENSORS, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"weights\.\w+ is damaged: .+ fetch it again") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        ({"state_dict": TENSORS, "epoch": 3}, ["'state_dict'"]),
        ({"model": {"state_dict": TENSORS}, "lr": 0.1}, ["'model'", "'state_dict'"]),
        ({"model_state": TENSORS}, ["'model_state'"]),
        ({"model": {"other": torch.zeros(1)}, "ema": TENSORS}, [r"'ema' (it holds model too)"]),
    ],
)
def test_containers_are_opened_and_named(tmp_path, content, taken):
    path = tmp_path / "last.pt"
    torch.save(content, path)
    found = read_weights(path)
    same(found.tensors, TENSORS)
    assert len(found.taken) == len(taken)
    assert all(name in said for name, said in zip(taken, found.taken, strict=True))


@pytest.mark.parametrize("content", [{"epoch": 3}, {"optimiser": TENSORS}, [1, 2], TENSORS["bias"]])
def test_a_file_without_weights_says_what_was_expected(tmp_path, content):
    path = tmp_path / "x.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match="holds no weights: expected tensors by name"):
        read_weights(path)


def test_no_file_and_no_weights_file(tmp_path):
    with pytest.raises(InputError, match=r"no weights file .*x\.pt.*check the path"):
        read_weights(tmp_path / "x.pt")
    (tmp_path / "x.txt").write_text("weights")
    with pytest.raises(InputError, match=r"x\.txt is no weights file .* \.safetensors, \.pt"):
        read_weights(tmp_path / "x.txt")
