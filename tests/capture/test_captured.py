"""What a block gives back: sites, calls, filters, what is kept, and the errors."""

import pytest
import torch
from jaxtyping import config
from torch import nn
from torch.nn import functional as F

from regard.capture import Captured, capture
from regard.core.errors import InputError, NothingCaptured


class Fused(nn.Module):
    def forward(self, x):
        return F.scaled_dot_product_attention(x, x, x)


class Open(nn.Module):
    def forward(self, x):
        return (x @ x.mT).softmax(-1) @ x


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(4, 1)

    def forward(self, x):
        return x * self.score(x).sigmoid()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(4, 4, 2, stride=2)
        self.blocks = nn.ModuleList([Fused(), Open()])
        self.gate = Gated()

    def forward(self, x):
        x = self.stem(x).flatten(2).mT
        for block in self.blocks:
            x = block(block(x))
        return self.gate(x)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def images():
    return torch.randn(2, 4, 6, 10)


def test_sites_are_named_by_the_innermost_module_in_the_order_they_ran(model, images):
    with capture(model) as seen:
        model(images)
    assert isinstance(seen, Captured)
    assert list(seen) == ["blocks.0", "blocks.1", "gate"]
    assert [r.kind for r in seen.values()] == ["softmax", "softmax", "gate"]
    assert repr(seen) == "Captured(blocks.0: softmax, blocks.1: softmax, gate: gate)"


def test_every_call_has_a_record(model, images):
    with capture(model) as seen:
        model(images)
    first, second = seen.calls("blocks.0")
    assert (first.call, second.call) == (0, 1)
    assert seen["blocks.0"] is first
    assert torch.equal(second.tensors.query[:, 0], first.tensors.output[:, 0])
    assert len(seen.records) == 5


def test_tokens_of_windows_are_placed_on_the_whole_map():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.AvgPool2d(2)

        def forward(self, x):
            self.pool(x)  # a map of 4×4 cells, as many as a window has
            windows = x.unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 3, 5, 1)
            windows = windows.reshape(-1, 1, 16, x.shape[1])
            return F.scaled_dot_product_attention(windows, windows, windows)

    with capture(model := Windows()) as seen:
        model(torch.randn(2, 3, 8, 8))
    assert seen["Windows"].operator.shape == (8, 1, 16, 16)
    cells = torch.arange(64).reshape(2, 4, 2, 4).transpose(1, 2).reshape(4, 16)
    assert seen["Windows"].grid.table.tolist() == cells.tolist()


def test_records_can_be_read_inside_the_block(model, images):
    with capture(model) as seen:
        model(images)
        assert len(seen.calls("gate")) == 1
        model(images)
        assert len(seen.calls("gate")) == 2
    assert len(seen.calls("gate")) == 2


@pytest.mark.parametrize(
    ("sites", "expected"),
    [("blocks.*", ["blocks.0", "blocks.1"]), (["gate", "*.1"], ["blocks.1", "gate"])],
)
def test_only_the_sites_asked_for_are_kept(model, images, sites, expected):
    with capture(model, sites=sites) as seen:
        model(images)
    assert list(seen) == expected


def test_sites_that_no_module_has(model):
    message = r"unknown site 'blocks.7'; did you mean .*blocks.0"
    with pytest.raises(InputError, match=message), capture(model, sites="blocks.7"):
        pass


def test_sites_without_attention_say_where_there_is_some(model, images):
    message = "attends at blocks.0, blocks.1, gate, but sites='stem'"
    with pytest.raises(NothingCaptured, match=message), capture(model, sites="stem"):
        model(images)


def test_nothing_captured_says_what_was_looked_for_and_what_there_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    with pytest.raises(NothingCaptured) as caught, capture(model):
        model(torch.randn(1, 3, 4, 4))
    message = str(caught.value)
    assert "\n" not in message
    for part in ("no attention ran in Sequential", "softmax", "gates", "2 Conv2d, 1 ReLU"):
        assert part in message


def test_a_model_that_never_ran(model):
    with pytest.raises(NothingCaptured, match="Model never ran inside"), capture(model):
        pass


def test_an_unknown_site_has_its_near_matches(model, images):
    with capture(model) as seen:
        model(images)
    with pytest.raises(KeyError, match=r"unknown site 'block.0'; did you mean blocks.0"):
        seen["block.0"]
    assert seen.get("block.0") is None
    assert "block.0" not in seen


def test_keeping_only_operators_holds_no_other_numbers(model, images):
    with torch.no_grad(), capture(model) as full:
        model(images)
    with torch.no_grad(), capture(model, keep="operators") as seen:
        model(images)
    for lean, record in zip(seen.records, full.records, strict=True):
        for name in ("value", "output"):
            tensor = getattr(lean.tensors, name)
            assert tensor.device.type == "meta"
            assert tensor.shape == getattr(record.tensors, name).shape
        assert lean.tensors.scores is None
        if lean.kind == "gate":
            assert torch.equal(lean.gate, record.gate)
        else:
            assert torch.equal(lean.operator.dense(), record.operator.dense())
    with pytest.raises(InputError, match="were not kept"):
        seen.verify()


@pytest.fixture
def unchecked_types():
    """Call as users do, without the tests' own check of annotations."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (torch.sigmoid, {}, r"needs a torch\.nn\.Module, got builtin_function_or_method"),
        (nn.Linear(2, 2), {"keep": "all"}, "unknown value of keep 'all'"),
        ("script", {}, "is TorchScript"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*jit:DeprecationWarning")
def test_what_cannot_be_captured_is_said(model, options, message):
    if model == "script":
        model = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
    with pytest.raises(InputError, match=message), capture(model, **options):
        pass


def test_verify_notices_weights_that_are_not_the_models(model, images):
    with capture(model) as seen:
        model(images)
    assert max(seen.verify().values()) < 1e-5
    seen["blocks.1"].tensors.weights.detach().mul_(2)
    assert seen.verify()["blocks.1"] > 0.1


def test_scores_of_a_query(model, images):
    with capture(model) as seen:
        model(images)
    for site in ("blocks.0", "blocks.1"):
        record = seen[site]
        torch.testing.assert_close(record.scores(3).softmax(-1), record.operator.rows(3))
        assert record.scores(3).shape[2] == 1
    with pytest.raises(InputError, match="is a gate"):
        seen["gate"].scores(0)
