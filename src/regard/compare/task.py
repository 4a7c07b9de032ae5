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
from regard.core.shapes import Images
from regard.data import FolderDataset
from regard.data.detection_sources import open_detection
from regard.data.segmentation_sources import open_segmentation
from regard.data.sources import open_dataset
from regard.models import NetworkSpec, build
from regard.models.build import find_network
from regard.models.detect import Detector
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
from regard.tasks.trial import try_size

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
        flops: operations of one image's prediction; a detector's are counted for as many regions
            as it may propose, and without what chooses and reads boxes.

    """

    parameters: int
    flops: int


class _Countable(nn.Module):
    """A detector as its operations are counted."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Images) -> None:
        """Run what is the same for every image."""
        self.detector.countable(images)


class Networks:
    """The networks of a study, as they are before training.

    Args:
        study: the study; its data say how many classes and pixels there are.

    """

    def __init__(self, study: Study) -> None:
        self.task = study.task
        data, size = _data(study)
        self.classes = len(data.classes)
        backbone = study.options.get("backbone")
        self._options = {"backbone": backbone} if backbone else {}
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
        options = {**sized, **self._options, **options}
        spec = NetworkSpec(name, self.classes, variant.attention, options)
        return build(spec, task=self.task)

    def cost(self, variant: Variant) -> NetworkCost:
        """Return parameters, and the operations of one image.

        Raises:
            InputError: the network cannot take images of this size.

        """
        key = variant.network, variant.attention
        if key not in self._costs:
            network = self.build(variant)
            counted = _Countable(network) if isinstance(network, Detector) else network
            size = self.size(variant)
            try:
                found = cost(counted, (1, 3, *size))
            except RuntimeError:
                try_size(network, variant.network, size)  # says it in a line
                raise
            self._costs[key] = NetworkCost(found.parameters, found.flops)
        return self._costs[key]

    def counted(self, what: str) -> Callable[[Variant], float]:
        """Return the function that gives `parameters` or `flops` of a variant."""
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
