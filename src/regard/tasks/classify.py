"""Classification: from words for data, network and attention to a run's folder, and its figures."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.data import Augment, FolderDataset, ImageDataset
from regard.data.image_batches import make_batches
from regard.data.sources import open_dataset
from regard.data.statistics import channel_statistics
from regard.models import NetworkSpec, Preprocessing, VisionModel, build
from regard.models.build import find_network
from regard.models.load import load
from regard.tasks.held_out import training_images
from regard.tasks.machine import Machine
from regard.tasks.same_classes import refuse_other_classes
from regard.train import Classification, Recipe, TrainingRun, start_fabric, train_run
from regard.train.evaluate import Evaluation, evaluate_classifier


@dataclass(frozen=True)
class ClassifyOptions:
    """What decides the result of a training run.

    Attributes:
        data: `scenes`, `cifar10`, or a path to an archive, parquet folder, image folder or csv.
        model: a network of `regard list models`, or `timm:NAME`.
        attention: `NAME`, `NAME@PLACE`, `NAME(option=value)@PLACE`, `none`, or None for what the
            network has by default.
        model_options: the network's own options, such as `{"width": 32}`.
        seed: of weights, order, augmentation and dropout.
        size: side of the images in pixels; by default the network's.
        validation: share of the training images to hold out and measure after each epoch. Data
            that has a `val` split of its own is measured on that instead.
        recipe: how to train.
        augment: how to augment, or None.

    """

    data: str | Path = "scenes"
    model: str = "resnet20"
    attention: str | None = None
    model_options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    size: int | None = None
    validation: float = 0.0
    recipe: Recipe = field(default_factory=Recipe)
    augment: Augment | None = field(default_factory=Augment)


def train(
    options: ClassifyOptions,
    out: str | Path,
    *,
    machine: Machine | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train a classifier and leave its run in the folder `out`; go on with an interrupted run.

    Returns:
        The figures of every epoch, as in the run's `metrics.jsonl`.

    Raises:
        InputError: something the options name does not exist or does not fit.

    """
    machine = machine or Machine()
    network_entry = find_network(options.model)
    training, validation = training_images(
        lambda split: open_dataset(options.data, split), options.validation
    )
    size = _side(training, options.size or network_entry.size, asked=options.size is not None)
    sized = {"size": size} if network_entry.sized else {}
    spec = NetworkSpec(
        name=options.model,
        classes=len(training.classes),
        attention=options.attention,
        options={**sized, **options.model_options},
    )
    network = build(spec, seed=options.seed)
    mean, std = channel_statistics(training)
    preprocessing = Preprocessing(size=(size, size), mean=mean, std=std)
    if isinstance(network, Whitening):
        network.whiten(_first_images(training, preprocessing))
    fabric = start_fabric(machine.device, machine.precision, machine.devices)
    common = {
        "image_size": size,
        "device": fabric.device,
        "workers": machine.workers,
        "rank": fabric.global_rank,
        "ranks": fabric.world_size,
    }
    batches = make_batches(
        training,
        options.recipe.batch_size,
        train=True,
        augment=options.augment,
        seed=options.seed,
        **common,
    )
    run = TrainingRun(
        task="classify",
        model=spec.to_json(),
        preprocessing=preprocessing,
        labels=training.classes,
        data={
            "name": training.name,
            "images": len(training),
            "fingerprint": training.fingerprint,
            "source": str(options.data),
            "augment": asdict(options.augment) if options.augment else None,
        },
        recipe=options.recipe,
        seed=options.seed,
    )
    return train_run(
        network,
        run,
        batches,
        out=Path(out),
        fabric=fabric,
        objective=Classification(options.recipe.label_smoothing),
        validation=make_batches(validation, 256, train=False, **common) if validation else None,
        compile=machine.compile,
        quiet=quiet,
    )


Images = ImageDataset | FolderDataset


@runtime_checkable
class Whitening(Protocol):
    """A network whose first layer is made of training images before it learns, as `airbench`."""

    def whiten(self, images: Tensor) -> None:
        """Set it from images as the network is given them: (batch, 3, height, width)."""
        ...


_WHITENED = 5000
"""Images of 32×32 whose patches are whitened, as in the paper; of larger ones as many pixels."""


def _first_images(images: Images, preprocessing: Preprocessing) -> Tensor:
    """Return the first training images, not augmented, as the network is given them."""
    side = preprocessing.size[0]
    count = min(len(images), max(1, _WHITENED * 32**2 // side**2))
    some = images.subset(torch.arange(count))
    batches = make_batches(some, 256, train=False, image_size=side, workers=0)
    return torch.cat([preprocessing.normalise(batch) for batch, _ in batches.epoch(0)])


def _side(images: Images, side: int, *, asked: bool) -> int:
    """Return the side of the images in pixels: files are brought to `side`, others have theirs."""
    if isinstance(images, FolderDataset):
        return side
    height, width = images.size
    if height != width:
        raise InputError(f"{images.name} has images of {height}×{width} pixels; make them square")
    if asked and height != side:
        raise InputError(
            f"{images.name} has images of {height}×{width} pixels, not {side}×{side}; "
            "leave --size out"
        )
    return height


def evaluate(
    model: VisionModel | str | Path,
    data: Images | str | Path | None = None,
    *,
    split: str = "test",
    batch_size: int = 256,
    device: str = "cpu",
    mirror: bool = False,
) -> Evaluation:
    """Measure a classifier.

    Args:
        model: a model, or what `regard.load` takes.
        data: a data set, `scenes`, `cifar10` or a path; by default the scenes.
        split: which part of the data.
        batch_size: images at a time.
        device: where to run.
        mirror: judge each image together with its mirror image.

    Raises:
        InputError: no such model, data or split; or the data's classes are not the model's.

    """
    if not isinstance(model, VisionModel):
        model = load(model)
    if data is None or isinstance(data, str | Path):
        data = open_dataset(data, split)
    refuse_other_classes(model.name, model.labels, data.name, data.classes)
    side = model.preprocessing.size[0]
    if isinstance(data, ImageDataset) and data.size != model.preprocessing.size:
        raise InputError(
            f"{model.name} takes images of {side}×{side} pixels and {data.name} has "
            f"{data.size[0]}×{data.size[1]}"
        )
    batches = make_batches(data, batch_size, train=False, image_size=side, device=device)
    return evaluate_classifier(model, batches, device=device, mirror=mirror)
