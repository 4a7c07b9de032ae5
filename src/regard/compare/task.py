"""What a study needs of its task: train, test, and networks to count and to time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from regard.attention.cost import cost
from regard.compare.study import Study, Variant
from regard.compare.trial import Trial
from regard.core.errors import InputError
from regard.data import FolderDataset
from regard.data.detection_sources import open_detection
from regard.data.segmentation_sources import open_segmentation
from regard.data.sources import open_dataset
from regard.models import NetworkSpec, build
from regard.models.build import find_network
from regard.models.network_word import parse_network
from regard.tasks import (
    ClassifyOptions,
    DetectOptions,
    Machine,
    SegmentOptions,
    classify,
    detect,
    evaluate,
    segment,
)

METRICS = {"classify": "accuracy", "detect": "mAP50", "segment": "mIoU"}
"""What each task is measured by; more is better."""

Options = ClassifyOptions | DetectOptions | SegmentOptions

_OPTIONS: dict[str, type[Options]] = {
    "classify": ClassifyOptions,
    "detect": DetectOptions,
    "segment": SegmentOptions,
}


def options_of(study: Study, trial: Trial, rate: float | None) -> Options:
    """Return how a trial is trained.

    Args:
        study: the study.
        trial: one of its trials.
        rate: the learning rate; None for the recipe's.

    Raises:
        InputError: the study has an option that its task does not have.

    """
    name, model_options = parse_network(trial.variant.network)
    try:
        return _OPTIONS[study.task](
            data=study.data,
            model=name,
            model_options=model_options,
            attention=trial.variant.attention,
            seed=trial.seed,
            validation=0.0 if trial.rate is None else study.validation,
            recipe=study.every_recipe.changed(lr=rate),
            **study.options,
        )
    except TypeError as error:
        raise InputError(
            f"the options of a study that is to {study.task} are those of "
            f"{_OPTIONS[study.task].__name__}: {' '.join(str(error).split())}"
        ) from error


def train_trial(
    study: Study, trial: Trial, rate: float | None, out: Path, machine: Machine
) -> list[dict[str, Any]]:
    """Train one of a study's networks, or go on with it; return the figures of every epoch."""
    out.parent.mkdir(parents=True, exist_ok=True)
    options = options_of(study, trial, rate)
    match options:
        case ClassifyOptions():
            return classify.train(options, out, machine=machine, quiet=True)
        case DetectOptions():
            return detect.train(options, out, machine=machine, quiet=True)
        case SegmentOptions():
            return segment.train(options, out, machine=machine, quiet=True)


def test_run(study: Study, folder: Path, device: str) -> dict[str, Any]:
    """Return what a finished run reaches on the test split."""
    found = evaluate(folder, study.data, device=device).to_json()
    return {"value": found[METRICS[study.task]], "images": found["images"]}


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs.

    Attributes:
        parameters: how many.
        flops: operations of one image's prediction; None where they depend on what is seen.

    """

    parameters: int
    flops: int | None


class Networks:
    """The networks of a study, as they are before training.

    Args:
        study: the study; its data say how many classes and pixels there are.

    """

    def __init__(self, study: Study) -> None:
        self.task = study.task
        data, size = _data(study)
        self.classes = len(data.classes)
        self._size = size
        self._costs: dict[tuple[str, str], NetworkCost] = {}

    def size(self, variant: Variant) -> tuple[int, int]:
        """Return (height, width) of a network's images, in pixels."""
        side = find_network(parse_network(variant.network)[0], self.task).size
        return self._size or (side, side)

    def build(self, variant: Variant) -> nn.Module:
        """Return the network with random weights, in eval mode."""
        name, options = parse_network(variant.network)
        sized = {"size": self.size(variant)[0]} if find_network(name, self.task).sized else {}
        spec = NetworkSpec(name, self.classes, variant.attention, {**sized, **options})
        return build(spec, task=self.task)

    def cost(self, variant: Variant) -> NetworkCost:
        """Return parameters, and the operations of one image."""
        key = variant.network, variant.attention
        if key not in self._costs:
            network = self.build(variant)
            parameters = sum(parameter.numel() for parameter in network.parameters())
            self._costs[key] = NetworkCost(parameters, self._flops(network, variant))
        return self._costs[key]

    def _flops(self, network: nn.Module, variant: Variant) -> int | None:
        # How much a detector does with its boxes depends on the image, and cannot be counted.
        if self.task == "detect":
            return None
        return cost(network, (1, 3, *self.size(variant))).flops

    def counted(self, what: str) -> Callable[[Variant], float]:
        """Return the function that gives `parameters` or `flops` of a variant.

        Raises:
            InputError: operations of networks that have no fixed number of them.

        """
        if what == "flops" and self.task == "detect":
            raise InputError(
                "the operations of a detector depend on the image, so that none can be matched "
                'by them; choose match "parameters" or "none"'
            )
        return lambda variant: float(getattr(self.cost(variant), what))

    def forward(self, variant: Variant, images: int) -> Callable[[], Any]:
        """Return a function that runs the network once, to be timed."""
        network, batch = self.build(variant), torch.zeros(images, 3, *self.size(variant))

        @torch.inference_mode()
        def run() -> Any:
            return network(batch)

        return run


def _data(study: Study) -> tuple[Any, tuple[int, int] | None]:
    """Return the training images, and the size that they are brought to; None: the network's."""
    asked = study.options.get("size")
    if study.task == "detect":
        boxes = open_detection(study.data, "train")
        return boxes, asked or detect.usual_size(boxes)
    if study.task == "segment":
        masks = open_segmentation(study.data, "train")
        return masks, asked or segment.usual_size(masks)
    images = open_dataset(study.data, "train")
    if isinstance(images, FolderDataset):
        return images, None if asked is None else (asked, asked)
    return images, images.size
