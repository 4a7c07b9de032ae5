"""What a study needs of its task, for classification: train, test, count costs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from regard.attention.cost import Cost, cost
from regard.compare.study import Study, Variant
from regard.compare.trial import Trial
from regard.data import FolderDataset
from regard.data.sources import open_dataset
from regard.models import NetworkSpec, build
from regard.models.build import find_network, parse_network
from regard.tasks import ClassifyOptions, Machine, evaluate, train

METRIC = "accuracy"


def options_of(study: Study, trial: Trial, rate: float | None) -> ClassifyOptions:
    """Return how a trial is trained.

    Args:
        study: the study.
        trial: one of its trials.
        rate: the learning rate; None for the recipe's.

    """
    name, model_options = parse_network(trial.variant.network)
    return ClassifyOptions(
        data=study.data,
        model=name,
        model_options=model_options,
        attention=trial.variant.attention,
        seed=trial.seed,
        validation=0.0 if trial.rate is None else study.validation,
        recipe=study.recipe.changed(lr=rate),
        augment=study.augment,
    )


def train_trial(
    study: Study, trial: Trial, rate: float | None, out: Path, machine: Machine
) -> list[dict[str, Any]]:
    """Train one of a study's networks, or go on with it; return the figures of every epoch."""
    out.parent.mkdir(parents=True, exist_ok=True)
    return train(options_of(study, trial, rate), out, machine=machine, quiet=True)


def test_run(study: Study, folder: Path, device: str) -> dict[str, Any]:
    """Return what a finished run reaches on the test split."""
    found = evaluate(folder, study.data, device=device)
    return {
        "value": found.accuracy.value,
        "images": found.accuracy.total,
        "calibration_error": found.calibration_error,
    }


class Networks:
    """The networks of a study, as they are before training.

    Args:
        study: the study; its data say how many classes and pixels there are.

    """

    def __init__(self, study: Study) -> None:
        data = open_dataset(study.data, "train")
        self.classes = len(data.classes)
        self._side = None if isinstance(data, FolderDataset) else data.size[0]
        self._costs: dict[tuple[str, str], Cost] = {}

    def side(self, variant: Variant) -> int:
        """Return the side of a network's images in pixels."""
        return self._side or find_network(parse_network(variant.network)[0]).size

    def build(self, variant: Variant) -> nn.Module:
        """Return the network with random weights, in eval mode."""
        name, options = parse_network(variant.network)
        sized = {"size": self.side(variant)} if find_network(name).sized else {}
        spec = NetworkSpec(name, self.classes, variant.attention, {**sized, **options})
        return build(spec)

    def cost(self, variant: Variant) -> Cost:
        """Return parameters, and the operations of one image."""
        key = variant.network, variant.attention
        if key not in self._costs:
            side = self.side(variant)
            self._costs[key] = cost(self.build(variant), (1, 3, side, side))
        return self._costs[key]

    def counted(self, what: str) -> Callable[[Variant], float]:
        """Return the function that gives `parameters` or `flops` of a variant."""
        return lambda variant: float(getattr(self.cost(variant), what))

    def forward(self, variant: Variant, images: int) -> Callable[[], Any]:
        """Return a function that runs the network once, to be timed."""
        side = self.side(variant)
        network, batch = self.build(variant), torch.zeros(images, 3, side, side)

        @torch.inference_mode()
        def run() -> Any:
            return network(batch)

        return run
