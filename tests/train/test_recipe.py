"""The recipe: schedule and moving average against their twins, and what it refuses."""

import pytest
import torch
from tests.reference import train_metrics as twin
from torch import nn

from regard.core.errors import InputError
from regard.train.recipe import (
    MovingAverage,
    Recipe,
    learning_rate,
    make_optimizer,
    plain_adam,
    set_learning_rate,
)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_the_schedule_equals_its_twin(warmup):
    recipe = Recipe(lr=0.3, warmup=warmup)
    ours = [learning_rate(step, 40, recipe) for step in range(40)]
    assert ours == pytest.approx([twin.learning_rate(s, 40, 0.3, warmup) for s in range(40)])
    assert max(ours) == pytest.approx(0.3)


@pytest.mark.parametrize("warmup", [0.0, 0.23, 0.5])
def test_the_linear_schedule_equals_its_twin(warmup):
    recipe = Recipe(lr=0.3, warmup=warmup, schedule="linear")
    ours = [learning_rate(step, 40, recipe) for step in range(40)]
    expected = [twin.linear_learning_rate(step, 40, 0.3, warmup) for step in range(40)]
    assert ours == pytest.approx(expected)


def test_biases_of_batch_norms_may_learn_faster_and_nothing_else_does():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    optimizer = make_optimizer(model, Recipe(norm_bias_lr=64.0, weight_decay=0.1))
    set_learning_rate(optimizer, 0.5)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    names = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert names == {name: 32.0 if name == "1.bias" else 0.5 for name in names}
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.1, 0.0, 0.0]
    assert len(make_optimizer(model, Recipe()).param_groups) == 2


def test_a_constant_schedule_is_constant():
    recipe = plain_adam()
    assert {learning_rate(step, 10, recipe) for step in range(10)} == {1e-3}


def test_the_moving_average_equals_its_twin():
    model = nn.Linear(1, 1, bias=False)
    values = [1.0, 4.0, -2.0, 0.5, 3.0]
    with torch.no_grad():
        model.weight.fill_(values[0])
        average = MovingAverage(model, decay=0.3)
        for step, value in enumerate(values[1:]):
            model.weight.fill_(value)
            average.update(model.state_dict().items(), step)
    expected = twin.moving_average(values, decay=0.3)
    assert average.state["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_the_moving_average_copies_counters():
    model = nn.BatchNorm2d(2)
    average = MovingAverage(model, decay=0.9)
    model.num_batches_tracked.fill_(7)
    average.update(model.state_dict().items(), step=0)
    assert average.state["num_batches_tracked"].item() == 7


def test_only_weights_of_two_axes_or_more_are_decayed():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    decayed, spared = make_optimizer(model, Recipe(weight_decay=0.1)).param_groups
    assert decayed["weight_decay"] == 0.1
    assert spared["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), not 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'; choose sgd or adam"),
        ({"schedule": "step"}, "unknown schedule 'step'"),
        ({"norm_bias_lr": 0.0}, "norm_bias_lr must be above 0"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Recipe(**values)
