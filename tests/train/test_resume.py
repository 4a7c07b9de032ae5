"""A run that is stopped anywhere, also by `kill -9`, ends with the very same weights."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from regard.core.errors import InputError
from regard.data import Augment, Batches, scenes
from regard.train import Diverged, Interrupted, Recipe, fit, start_fabric
from regard.train.journal import read_journal
from regard.train.loop import CHECKPOINT

RECIPE = Recipe(epochs=3, batch_size=16, lr=0.05)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 10),
        )


def batches(seed=0):
    dataset = scenes.make(64, seed=0).as_dataset()
    return Batches(dataset, 16, augment=Augment(), seed=seed)


def train(out, stream=None, recipe=RECIPE, model=None):
    out.mkdir(exist_ok=True)
    model = model or network()
    fabric = start_fabric("cpu", "fp32")
    fit(model, stream or batches(), out=out, recipe=recipe, fabric=fabric, quiet=True)
    return model.state_dict()


class Stopping:
    """Batches that send this process a signal in a chosen step."""

    def __init__(self, epoch, step, number):
        self.inner, self.epoch_at, self.step_at, self.number = batches(), epoch, step, number

    def __len__(self):
        return len(self.inner)

    def epoch(self, index, start_step=0):
        for step, batch in enumerate(self.inner.epoch(index, start_step), start=start_step):
            if (index, step) == (self.epoch_at, self.step_at):
                os.kill(os.getpid(), self.number)
            yield batch


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path):
    first = train(tmp_path / "a")
    assert same(first, train(tmp_path / "b"))
    assert not same(first, train(tmp_path / "c", stream=batches(seed=1)))


@pytest.mark.parametrize(("epoch", "step"), [(0, 0), (1, 2), (2, 3)])
def test_ctrl_c_stops_after_the_step_and_the_run_goes_on_to_the_same_weights(tmp_path, epoch, step):
    whole = train(tmp_path / "whole")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=f"stopped in epoch {epoch + 1}"):
        train(tmp_path / "cut", stream=Stopping(epoch, step, signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is handler
    assert same(whole, train(tmp_path / "cut"))
    strip = [
        {k: v for k, v in line.items() if k != "images_per_second"}
        for line in read_journal(tmp_path / "cut")
    ]
    other = [
        {k: v for k, v in line.items() if k != "images_per_second"}
        for line in read_journal(tmp_path / "whole")
    ]
    assert strip == other


def test_kill_9_in_the_middle_of_an_epoch_loses_no_finished_epoch(tmp_path):
    whole = train(tmp_path / "whole")
    code = (
        "import signal, pathlib\n"
        "from tests.train.test_resume import Stopping, train\n"
        f"train(pathlib.Path({str(tmp_path / 'cut')!r}), Stopping(1, 2, signal.SIGKILL))\n"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [line["epoch"] for line in read_journal(tmp_path / "cut")] == [0]
    assert same(whole, train(tmp_path / "cut"))


def test_a_journal_line_that_was_cut_off_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 0, "train_loss": 1.0}\n{"epoch": 1, "tr')
    assert read_journal(tmp_path) == [{"epoch": 0, "train_loss": 1.0}]


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"checkpoint\.pt is not a checkpoint .* delete it"):
        train(tmp_path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stream=Stopping(1, 0, signal.SIGINT))
    other = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    with pytest.raises(InputError, match="belongs to another network or recipe"):
        train(tmp_path, model=other)


def test_a_loss_that_is_nan_stops_with_one_line_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stream=Stopping(1, 0, signal.SIGINT))
    before = (tmp_path / CHECKPOINT).read_bytes()

    class Poisoned(Stopping):
        def epoch(self, index, start_step=0):
            for images, labels in self.inner.epoch(index, start_step):
                yield images * float("nan"), labels

    with pytest.raises(Diverged, match=r"the loss is nan at epoch 2, step \d; lower the learning"):
        train(tmp_path, stream=Poisoned(9, 0, signal.SIGINT))
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_training_leaves_no_trace(tmp_path):
    state = torch.random.get_rng_state()
    model = network()
    train(tmp_path, model=model)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not model.training
    assert not any(module._forward_hooks for module in model.modules())
