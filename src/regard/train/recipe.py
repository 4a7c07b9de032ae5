"""The default recipe for training a classifier, whole, in one file: copy it and change it.

SGD with Nesterov momentum, one linear warm-up and a cosine back to zero, label smoothing, weight
decay on weights only, and an exponential moving average of the weights, which is what is kept.
On CIFAR-10 the images are cropped after reflect padding and flipped (`regard.data.Augment`).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from regard.core.errors import InputError, unknown_name


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained, but for the data and the seed.

    Attributes:
        epochs: passes over the training images.
        batch_size: images in a step, over all devices.
        optimizer: `sgd` (Nesterov, momentum 0.9) or `adam`.
        lr: the highest learning rate, reached after the warm-up.
        schedule: `cosine` (linear warm-up, then cosine to zero), `linear` (linear warm-up, then
            linear to zero) or `constant`.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: on weights of convolutions and dense layers; never on biases, norms and
            gains.
        label_smoothing: probability spread over the other classes.
        ema: decay of the moving average of weights per step; 0 keeps the last weights.
        clip: largest norm of the gradient; 0 leaves it alone.
        norm_bias_lr: the learning rate of the biases of batch norms, in times the others'. Jordan
            2024 (arXiv 2404.00498) has 64.

    """

    epochs: int = 60
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.2
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    ema: float = 0.998
    clip: float = 0.0
    norm_bias_lr: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that cannot be meant."""
        if self.epochs < 1:
            raise InputError(f"epochs must be at least 1, not {self.epochs}")
        if self.batch_size < 1:
            raise InputError(f"batch_size must be at least 1, not {self.batch_size}")
        if not self.lr > 0:
            raise InputError(f"lr must be above 0, not {self.lr}")
        if self.optimizer not in ("sgd", "adam"):
            raise InputError(f"unknown optimizer {self.optimizer!r}; choose sgd or adam")
        if self.schedule not in ("cosine", "linear", "constant"):
            raise InputError(
                f"unknown schedule {self.schedule!r}; choose cosine, linear or constant"
            )
        if not self.norm_bias_lr > 0:
            raise InputError(f"norm_bias_lr must be above 0, not {self.norm_bias_lr}")
        for name in ("warmup", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be in [0, 1), not {getattr(self, name)}")
        for name in ("weight_decay", "clip"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, not {getattr(self, name)}")

    def changed(self, **values: Any) -> "Recipe":
        """Return this recipe with those values that are not None put in."""
        return replace(self, **{key: value for key, value in values.items() if value is not None})


def plain_adam(**values: Any) -> Recipe:
    """Adam at a constant rate and nothing else: the recipe of textbook examples."""
    plain = Recipe(
        optimizer="adam",
        lr=1e-3,
        batch_size=64,
        schedule="constant",
        weight_decay=0.0,
        label_smoothing=0.0,
        ema=0.0,
    )
    return plain.changed(**values)


RECIPES: dict[str, Callable[..., Recipe]] = {"default": Recipe, "plain-adam": plain_adam}


def named_recipe(name: str) -> Recipe:
    """Return a classifier's recipe by its name.

    Raises:
        InputError: no such recipe.

    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]()


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Build the recipe's optimizer; only tensors of two axes or more are decayed."""
    fast = _norm_biases(model) if recipe.norm_bias_lr != 1 else []
    taken = {id(p) for p in fast}
    parameters = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if fast:
        groups.append({"params": fast, "weight_decay": 0.0, "times": recipe.norm_bias_lr})
    if recipe.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=recipe.lr)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)


def _norm_biases(model: nn.Module) -> list[nn.Parameter]:
    norms = (module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    biases = (norm.bias for norm in norms)
    return [bias for bias in biases if isinstance(bias, nn.Parameter) and bias.requires_grad]


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """Return the learning rate of step 0 … steps − 1: a function of the step alone.

    Having no state, it needs no checkpoint and cannot drift on resuming.
    """
    if recipe.schedule == "constant":
        return recipe.lr
    warm = max(1, round(recipe.warmup * steps))
    if step < warm:
        return recipe.lr * (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    if recipe.schedule == "linear":
        return recipe.lr * (1 - progress)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the learning rate, times its own factor where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("times", 1.0)


class MovingAverage:
    """Exponential moving average of a network's weights and statistics; counters are copied.

    The decay grows with the steps taken, min(decay, (1 + t) / (10 + t)), so that the random
    start is forgotten quickly.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, tensors: Iterable[tuple[str, torch.Tensor]], step: int) -> None:
        """Move towards `tensors` after step `step` (0 for the first)."""
        keep = min(self.decay, (1 + step) / (10 + step))
        averaged, current = [], []
        for name, tensor in tensors:
            mine = self.state[name]
            if tensor.is_floating_point():
                averaged.append(mine)
                current.append(tensor.detach())
            else:
                mine.copy_(tensor)
        get_ema_multi_avg_fn(keep)(averaged, current, step)
