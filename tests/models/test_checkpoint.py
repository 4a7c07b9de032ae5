"""A file's weights into an architecture: prefixes, heads, and what does not fit."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from regard.core.errors import InputError
from regard.models.checkpoint import fill_from_file


class Net(nn.Module):
    """A body, and heads with one and with two rows for each class; without classes, none."""

    def __init__(self, classes, width=6):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))
        self.head = nn.Linear(width, classes) if classes else nn.Identity()
        self.boxes = nn.Linear(width, 2 * classes) if classes else nn.Identity()


def saved(tmp_path, tensors):
    save_file(
        {name: tensor.clone() for name, tensor in tensors.items()}, tmp_path / "x.safetensors"
    )
    return tmp_path / "x.safetensors"


def fill(path, make=Net, classes=10, **kwargs):
    return fill_from_file(make, classes, path, name="net", **kwargs)


def test_weights_arrive_and_the_network_is_in_eval_mode(tmp_path):
    original = Net(10)
    filled = fill(saved(tmp_path, original.state_dict()))
    assert filled.classes == 10
    assert filled.assumed == ()
    assert not filled.network.training
    for name, tensor in filled.network.state_dict().items():
        assert torch.equal(tensor, original.state_dict()[name]), name


@pytest.mark.parametrize("classes", [1, 3, 25])
def test_the_number_of_classes_is_the_head_s(tmp_path, classes):
    filled = fill(saved(tmp_path, Net(classes).state_dict()))
    assert filled.classes == classes
    assert filled.network.head.out_features == classes


def test_a_file_without_a_head_makes_a_backbone(tmp_path):
    path = saved(tmp_path, Net(0).state_dict())
    assert fill(path, headless=True).classes == 0
    with pytest.raises(
        InputError, match=r"it lacks head\.weight, head\.bias, boxes\.weight and 1 more"
    ):
        fill(path)


@pytest.mark.parametrize("prefix", ["module.", "model.", "network.", "module._orig_mod."])
def test_what_stands_before_every_name_is_taken_off_and_said(tmp_path, prefix):
    tensors = {prefix + name: tensor for name, tensor in Net(10).state_dict().items()}
    filled = fill(saved(tmp_path, tensors))
    assert filled.assumed == (f"{prefix!r} before the names of all weights was taken off",)


def test_a_network_s_own_names_are_left_alone(tmp_path):
    class Wrapped(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.model = Net(classes)

    filled = fill(saved(tmp_path, Wrapped(3).state_dict()), make=Wrapped)
    assert filled.classes == 3
    assert filled.assumed == ()


def test_counters_that_evaluation_does_not_need_may_be_there_or_not(tmp_path):
    tensors = Net(10).state_dict()
    del tensors["body.1.num_batches_tracked"]
    averaged = {f"module.{name}": tensor for name, tensor in tensors.items()}
    network = fill(saved(tmp_path, {**averaged, "n_averaged": torch.tensor(3)})).network
    assert torch.equal(network.head.weight, tensors["head.weight"])


def test_half_precision_is_turned_into_the_network_s(tmp_path):
    original = {
        k: v.half() if v.is_floating_point() else v for k, v in Net(10).state_dict().items()
    }
    network = fill(saved(tmp_path, original)).network
    assert network.head.weight.dtype == torch.float32
    assert torch.equal(network.head.weight, original["head.weight"].float())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"extra.weight": torch.ones(1)}, r"it has besides extra\.weight; give the arch"),
        ({"body.0.bias": None}, r"net: it lacks body\.0\.bias; give"),
        (
            {"body.0.weight": torch.ones(6, 5)},
            r"body\.0\.weight is \(6, 5\) and should be \(6, 4\)",
        ),
        # Rows that are no multiple, and two heads that disagree.
        (
            {"head.bias": torch.ones(()), "head.weight": torch.ones(3, 6)},
            r"head\.bias is \(\) and should",
        ),
        ({"boxes.bias": torch.ones(19)}, r"boxes\.bias is \(19,\) and should be \(20,\)"),
        ({"boxes.bias": torch.ones(8), "head.bias": torch.ones(3)}, r"head\.bias is \(3,\)"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, other, message):
    tensors = {**Net(10).state_dict(), **other}
    path = saved(tmp_path, {name: t for name, t in tensors.items() if t is not None})
    with pytest.raises(InputError, match=message) as caught:
        fill(path)
    assert "\n" not in str(caught.value)


def test_another_width_is_no_other_number_of_classes(tmp_path):
    with pytest.raises(InputError, match=r"body\.0\.weight is \(5, 4\) and should be \(6, 4\)"):
        fill(saved(tmp_path, Net(10, width=5).state_dict()))


def test_nothing_is_drawn_from_the_global_random_state(tmp_path):
    path = saved(tmp_path, Net(3).state_dict())
    before = torch.random.get_rng_state()
    fill(path)
    assert torch.equal(torch.random.get_rng_state(), before)
