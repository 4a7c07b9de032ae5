"""A task of another kind than classification, through the same loop."""

import json

import pytest
import torch
from torch import nn

from regard.core.errors import InputError
from regard.train import Classification, Interrupted, Outcome, Recipe, fit, start_fabric
from regard.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from regard.train.loop import CHECKPOINT
from regard.train.objective import figures_of, summed

RECIPE = Recipe(epochs=2, batch_size=4, lr=0.01, ema=0.0)


class Brightness:
    """Tell each pixel's brightness; `near` and `far` are counted over pixels, as their number."""

    shares = ("near", "far")

    def training(self, forward, images, truth):
        return self.judge(forward, images, truth["brightness"])

    def validation(self, forward, images, truth):
        return self.judge(forward, images, truth["brightness"])

    def judge(self, forward, images, wanted):
        error = (forward(images) - wanted).abs()
        pixels = torch.tensor(error.numel())
        shares = {"near": ((error < 0.2).sum(), pixels), "far": ((error > 0.5).sum(), pixels)}
        return Outcome(error.mean(), len(images), shares)


class Patches:
    """Three batches, of which the last is smaller; truth is a dictionary."""

    sizes = (4, 4, 2)

    def __init__(self, interrupt_at=None):
        self.interrupt_at = interrupt_at

    def __len__(self):
        return len(self.sizes)

    def epoch(self, index, start_step=0):
        for step in range(start_step, len(self)):
            if self.interrupt_at == (index, step):
                raise Interrupted("stopped")
            images = torch.rand(
                self.sizes[step],
                3,
                4,
                4,
                generator=torch.Generator().manual_seed(10 * index + step),
            )
            yield images, {"brightness": images.mean(1, keepdim=True)}


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Conv2d(3, 1, 1)


def trained(out, model=None, **options):
    out.mkdir(exist_ok=True)
    return fit(
        model or network(),
        options.pop("batches", Patches()),
        out=out,
        recipe=RECIPE,
        objective=Brightness(),
        fabric=start_fabric("cpu", "fp32"),
        quiet=True,
        **options,
    )


def test_figures_are_over_all_images_and_all_that_is_counted(tmp_path):
    # Nothing is learned at a rate of almost 0, so that a pass over the images tells the figures.
    model = network()
    error = torch.cat(
        [
            (model(images) - truth["brightness"]).abs().detach().flatten()
            for images, truth in Patches().epoch(0)
        ]
    )
    recipe = RECIPE.changed(epochs=1, lr=1e-12)
    (line,) = fit(
        model,
        Patches(),
        out=tmp_path,
        recipe=recipe,
        objective=Brightness(),
        fabric=start_fabric("cpu", "fp32"),
        quiet=True,
    )
    assert line["train_loss"] == pytest.approx(error.mean().item(), rel=1e-5)
    assert line["train_near"] == pytest.approx((error < 0.2).float().mean().item())
    assert line["train_far"] == pytest.approx((error > 0.5).float().mean().item())


def test_validation_and_further_figures_stand_in_every_line(tmp_path):
    modes = []

    def measure(model):
        modes.append(model.training)
        return {"size": 7.0}

    lines = trained(tmp_path, validation=Patches(), measure=measure)
    for line in lines:
        assert line["validation_size"] == 7.0
        assert {"validation_loss", "validation_near", "validation_far"} <= line.keys()
    assert modes == [False, False]
    written = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert written == lines


def test_a_run_that_is_gone_on_with_has_the_figures_of_one_that_was_not_stopped(tmp_path):
    whole = trained(tmp_path / "whole")
    model = network()
    with pytest.raises(Interrupted):
        trained(tmp_path / "broken", model, batches=Patches(interrupt_at=(1, 0)))
    again = trained(tmp_path / "broken", network())
    for line, same in zip(again, whole, strict=True):
        assert line | {"images_per_second": 0} == same | {"images_per_second": 0}


def test_a_checkpoint_with_other_sums_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        trained(tmp_path, batches=Patches(interrupt_at=(1, 0)))
    path = tmp_path / CHECKPOINT
    state, progress = load_checkpoint(path, torch.device("cpu"))
    assert progress == Progress(epoch=1)
    save_checkpoint(path, state, Progress(1, 1, [0.5, 3.0, 4.0]))
    with pytest.raises(InputError, match="written by another version"):
        trained(tmp_path)


def test_sums_become_figures():
    first = Outcome(torch.tensor(2.0), 3, {"a": (torch.tensor(1), torch.tensor(4))})
    second = Outcome(torch.tensor(1.0), 1, {"a": (torch.tensor(2), torch.tensor(2))})
    sums = summed(first, ("a",)) + summed(second, ("a",))
    assert figures_of(sums.tolist(), ("a",)) == {"loss": 7 / 4, "a": 3 / 6}
    assert figures_of([6.0, 3.0, 0.0, 0.0], ("a",)) == {"loss": 2.0, "a": 0.0}


def test_labels_are_smoothed_in_training_only():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 2])
    logs = logits.log_softmax(1)
    plain = -(logs[0, 0] + logs[1, 2]) / 2
    spread = 0.7 * plain - 0.3 * logs.mean()
    task = Classification(label_smoothing=0.3)
    images = torch.zeros(2, 3, 1, 1)
    training = task.training(lambda _: logits, images, labels)
    validation = task.validation(lambda _: logits, images, labels)
    assert training.loss.item() == pytest.approx(spread.item())
    assert validation.loss.item() == pytest.approx(plain.item())
    assert [int(part) for part in validation.shares["accuracy"]] == [1, 2]
