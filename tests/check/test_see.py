"""See gives a map with its verdict; check judges a map again, or one of another tool."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.check.planted import Planted, picture, shifted, truth

import regard
from regard.check import given
from regard.core.errors import InputError
from regard.core.explanation import load_explanation
from regard.core.seeding import seeded
from regard.core.verdict import LEVELS
from regard.explain import Region, altered_copies
from regard.testing.explained import SmallCNN, SmallViT


def seen(**options):
    return regard.see(Planted(), picture(), method="saliency", target=0, **options)


def test_a_picture_comes_with_a_verdict():
    found = seen()
    assert found.verdict.level == "faithful", found.verdict
    assert {m.metric for m in found.verdict.measurements} == {
        "faithfulness_correlation",
        "weight_randomisation",
        "class_contrast",
    }
    assert found.summary()["verdict"]["level"] == "faithful"
    assert seen(check=False).verdict is None


def test_each_image_of_a_batch_has_the_verdict_that_it_has_alone():
    images = torch.cat([picture(0), picture(7)])
    together = regard.see_batch(Planted(), images, method="saliency", target=0)
    alone = [regard.see(Planted(), image[None], method="saliency", target=0) for image in images]
    for first, second in zip(together, alone, strict=True):
        assert first.verdict.level == second.verdict.level
        assert first.verdict["faithfulness_correlation"].value == pytest.approx(
            second.verdict["faithfulness_correlation"].value, abs=1e-4
        )


def test_checking_again_gives_the_same_verdict(tmp_path):
    found = seen()
    assert regard.check(found, Planted(), picture()).summary() == found.verdict.summary()
    back = load_explanation(found.save(tmp_path / "map.npz"))
    assert back.verdict.summary() == found.verdict.summary()
    assert regard.check(back, Planted(), picture()).summary() == found.verdict.summary()


def test_the_map_that_is_judged_is_the_one_that_was_given():
    moved = replace(seen(), values=shifted(torch.from_numpy(seen().values)).numpy())
    assert regard.check(moved, Planted(), picture()).level == "no better than chance"


def test_a_region_of_a_mask_and_a_function_are_checked_without_classes():
    mask = torch.zeros(32, 24, dtype=torch.bool)
    mask[8, 10] = True
    with seeded(0):
        dense = torch.nn.Conv2d(3, 2, 5, padding=2)
    image = torch.rand(1, 3, 32, 24, generator=torch.Generator().manual_seed(0))
    found = regard.see(dense, image, method="input_x_gradient", target=Region(1, mask))
    # It looks at the region and nowhere else, whatever its weights: that is no likeness.
    assert found.verdict["weight_randomisation"].value < 0.5, found.verdict
    assert "class_contrast" not in {m.metric for m in found.verdict.measurements}
    again = regard.see(dense, image, method="saliency", target=lambda out: out[:, 0, 8, 10])
    assert again.verdict.level in LEVELS


def test_methods_that_run_the_model_too_often_are_not_run_again():
    found = regard.see(Planted(), picture(), method="occlusion", target=0, window=8)
    assert found.verdict.forwards <= 60
    assert any("too often" in note for note in found.verdict.notes)


@pytest.mark.parametrize("made", [lambda t: t, lambda t: t[None], lambda t: t[None, None]])
def test_a_map_of_another_tool_is_judged(made):
    model, image = Planted(), picture()
    right = given(made(truth()), model, image)
    verdict = regard.check(right, model, image, target=0)
    assert verdict.level == "faithful", verdict
    assert any("not known" in note for note in verdict.notes)
    wrong = given(made(shifted(truth())).numpy(), model, image)
    assert regard.check(wrong, model, image, target=0).level == "no better than chance"


def test_a_map_of_the_whole_picture_is_cropped_as_the_picture_is():
    model = regard.load("bundled:cifar10-resnet20-attention")
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8))
    values = np.zeros((40, 80))
    values[:, 40:] = 1  # the right half of the picture is the right half of its middle, too
    found = given(values, model, whole)
    assert found.values.shape == found.picture.shape[:2] == (32, 32)
    assert found.values[:, :15].max() < 0.1 < 0.9 < found.values[:, 17:].min()


@pytest.mark.parametrize(
    "values", [np.zeros((3, 4, 4)), np.zeros(5), np.array([["a"]]), np.full((2, 2), np.nan)]
)
def test_what_is_no_map_is_refused(values):
    with pytest.raises(InputError):
        given(values, Planted(), picture())


def test_an_explanation_of_another_size_is_refused():
    model, image = SmallCNN(), torch.rand(1, 3, 32, 24)
    found = regard.see(model, image, check=False)
    with pytest.raises(InputError, match="24"):
        regard.check(found, model, image[..., :20])


@pytest.mark.parametrize("model", [SmallCNN, SmallViT])
@pytest.mark.parametrize("method", ["auto", "guided_backpropagation"])
def test_a_check_leaves_the_model_as_it_was(model, method):
    model = model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = regard.see(model, torch.rand(1, 3, 32, 24), method=method)
    assert found.verdict.forwards <= 60
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_check_runs_most_passes_in_bfloat16_where_that_is_fast(monkeypatch):
    """And says the same as in float32, since it looks first how much the scores are rounded."""

    class Noting(Planted):
        half, full = 0, 0

        def forward(self, images):
            if torch.is_autocast_enabled("cpu"):
                self.half += len(images)
            elif not torch.is_grad_enabled():
                self.full += len(images)
            return super().forward(images)

    def verdict(fast):
        monkeypatch.setattr(altered_copies, "multiplies_bfloat16", lambda _device: fast)
        torch.manual_seed(0)
        model = Noting().eval()
        return regard.see(model, picture(), method="saliency", target=0).verdict, model

    (quick, model), (exact, plain) = verdict(True), verdict(False)
    assert model.half == 48
    assert plain.half == 0
    assert plain.full - model.full == 48 - 6
    assert quick.level == exact.level
    found, truth = (v["faithfulness_correlation"].value for v in (quick, exact))
    assert found != truth
    assert found == pytest.approx(truth, abs=0.02)
