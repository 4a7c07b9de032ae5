"""Segmentation: from words for data, network and loss to a run's folder, and its figures."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from regard.core.errors import InputError
from regard.core.labels import VOID
from regard.data.segmentation_augment import SegmentationAugment
from regard.data.segmentation_batches import SegmentationBatches, whole_images
from regard.data.segmentation_dataset import SegmentationDataset
from regard.data.segmentation_sources import open_segmentation
from regard.models import NetworkSpec, Preprocessing, VisionModel, build
from regard.models.load import load
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from regard.models.segment.encoder import LITE0, fill_pretrained
from regard.models.segment.segformer import fill_segformer, segformer_options
from regard.tasks.held_out import training_images
from regard.tasks.machine import Machine
from regard.tasks.same_classes import refuse_other_classes
from regard.tasks.trial import try_size
from regard.train import Recipe, TrainingRun, start_fabric, train_run
from regard.train.class_weights import median_frequency_weights
from regard.train.device import Fabric
from regard.train.segmentation_evaluation import (
    SegmentationEvaluation,
    evaluate_segmenter,
    mean_iou_of,
)
from regard.train.segmentation_loss import SegmentationLoss
from regard.train.segmentation_objective import Segmentation

_LONGEST = 512
"""Images with a longer side are scaled down, unless the user says."""

CLASS_WEIGHTS = ("none", "median_frequency")


def segmentation_recipe(**values: Any) -> Recipe:
    """AdamW with warm-up and cosine, clipped, small batches: what `regard train segment` does."""
    default = Recipe(
        epochs=60,
        batch_size=8,
        optimizer="adam",
        lr=1e-3,
        weight_decay=1e-2,
        label_smoothing=0.0,
        ema=0.995,
        clip=1.0,
    )
    return default.changed(**values)


@dataclass(frozen=True)
class SegmentOptions:
    """What decides the result of a training run.

    Attributes:
        data: `scenes`, or a path to images and masks, Pascal VOC or COCO.
        model: `unet`, `attention_unet`, `fcn`, or `hf:NAME` for a SegFormer.
        attention: `NAME@PLACE` and the like, `none`, or None for what the network has by default.
        model_options: the network's own options, such as `{"encoder": "resnet18"}`.
        pretrained: whether the encoder starts from ImageNet's weights; None where its name says
            so (`photo:…`).
        seed: of weights, order, augmentation and dropout.
        size: (height, width) of the images in pixels; None for the data's most frequent one, scaled
            down to a longer side of 512.
        crop: (height, width) of the part of the image at `size` that is trained on, which is
            quicker; whole images are measured. None trains on the whole.
        validation: share of the training images to hold out and measure after each epoch. Data
            that has a `val` split of its own is measured on that instead.
        loss: such as `cross_entropy + 0.5 * dice`.
        class_weights: `none` or `median_frequency`.
        recipe: how to train.
        augment: how to augment, or None.

    """

    data: str | Path = "scenes"
    model: str = "unet"
    attention: str | None = None
    model_options: dict[str, Any] = field(default_factory=dict)
    pretrained: bool | None = None
    seed: int = 0
    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    validation: float = 0.0
    loss: str = "cross_entropy"
    class_weights: str = "none"
    recipe: Recipe = field(default_factory=segmentation_recipe)
    augment: SegmentationAugment | None = field(default_factory=SegmentationAugment)

    def __post_init__(self) -> None:
        """Refuse values that cannot be meant."""
        if self.class_weights not in CLASS_WEIGHTS:
            raise InputError(
                f"unknown class_weights {self.class_weights!r}; choose {' or '.join(CLASS_WEIGHTS)}"
            )
        if self.recipe.label_smoothing:
            raise InputError("label_smoothing is for classifiers; set it to 0 in the recipe")
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"size={self.size}; give (height, width) in pixels")


def train(
    options: SegmentOptions,
    out: str | Path,
    *,
    machine: Machine | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train a segmenter and leave its run in the folder `out`; go on with an interrupted run.

    Returns:
        The figures of every epoch, as in the run's `metrics.jsonl`; `validation_mIoU` where there
        are images to measure.

    Raises:
        InputError: something the options name does not exist or does not fit.

    """
    machine = machine or Machine()
    loss = SegmentationLoss.parse(options.loss)
    training, validation = training_images(
        lambda split: open_segmentation(options.data, split), options.validation
    )
    _refuse_void(training)
    size = options.size or usual_size(training)
    spec, network, statistics = _network(options, len(training.classes))
    preprocessing = Preprocessing(
        size=size, mean=statistics[0], std=statistics[1], resize="squash", interpolation="bilinear"
    )
    if options.class_weights == "median_frequency":
        loss = SegmentationLoss(loss.terms, _class_weights(training))
    for each in {size, options.crop or size}:
        try_size(network, options.model, each)
    fabric = start_fabric(machine.device, machine.precision, machine.devices)
    common = {
        "size": size,
        "device": fabric.device,
        "workers": machine.workers,
        "rank": fabric.global_rank,
        "ranks": fabric.world_size,
    }
    batches = SegmentationBatches(
        training,
        options.recipe.batch_size,
        crop=options.crop,
        augment=options.augment,
        seed=options.seed,
        drop_last=len(training) >= options.recipe.batch_size,
        **common,
    )
    run = TrainingRun(
        task="segment",
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
        choices={
            "loss": options.loss,
            "class_weights": options.class_weights,
            "pretrained": _is_pretrained(options),
            **({"crop": list(options.crop)} if options.crop else {}),
        },
    )
    return train_run(
        network,
        run,
        batches,
        out=Path(out),
        fabric=fabric,
        objective=Segmentation(loss),
        measure=_measure(validation, preprocessing, fabric, common) if validation else None,
        compile=machine.compile,
        quiet=quiet,
    )


def evaluate(
    model: VisionModel | str | Path,
    data: SegmentationDataset | str | Path | None = None,
    *,
    split: str = "test",
    batch_size: int = 8,
    device: str = "cpu",
) -> SegmentationEvaluation:
    """Measure a segmenter: every image whole, at its mask's own size.

    Args:
        model: a model, or what `regard.load` takes.
        data: a data set, `scenes` or a path; by default the scenes.
        split: which part of the data.
        batch_size: images at a time.
        device: where to run.

    Raises:
        InputError: no such model, data or split; or the data's classes are not the model's.

    """
    if not isinstance(model, VisionModel):
        model = load(model)
    if data is None or isinstance(data, str | Path):
        data = open_segmentation(data, split)
    refuse_other_classes(model.name, model.labels, data.name, data.classes)
    batches = whole_images(data, batch_size, model.preprocessing.size)
    return evaluate_segmenter(model, batches, device=device)


def _network(
    options: SegmentOptions, classes: int
) -> tuple[NetworkSpec, nn.Module, tuple[Any, Any]]:
    """Build the network; return it with the statistics that its first weights expect."""
    if options.model.startswith("hf:"):
        return _segformer(options, classes)
    spec = NetworkSpec(options.model, classes, options.attention, options.model_options)
    network = build(spec, seed=options.seed, task="segment")
    if not _is_pretrained(options):
        return spec, network, (IMAGENET_MEAN, IMAGENET_STD)
    word = options.model_options.get("encoder", "plain")
    return spec, network, fill_pretrained(network.get_submodule("encoder"), word)


def _segformer(
    options: SegmentOptions, classes: int
) -> tuple[NetworkSpec, nn.Module, tuple[Any, Any]]:
    """Build a SegFormer of the Hugging Face hub, with its weights but for the classes' head."""
    if options.model_options:
        raise InputError(
            f"{options.model} takes no options ({', '.join(options.model_options)}): its "
            "configuration has them; use --model segformer(…) to train one from scratch"
        )
    folder = options.model.removeprefix("hf:")
    spec = NetworkSpec("segformer", classes, options.attention, segformer_options(folder))
    network = build(spec, seed=options.seed, task="segment")
    if _is_pretrained(options):
        fill_segformer(network, folder)
    return spec, network, (IMAGENET_MEAN, IMAGENET_STD)


def _is_pretrained(options: SegmentOptions) -> bool:
    if options.pretrained is not None:
        return options.pretrained
    if options.model.startswith("hf:"):
        return True
    return str(options.model_options.get("encoder", "")).startswith(LITE0)


def _refuse_void(images: SegmentationDataset) -> None:
    """Refuse masks without one pixel of a class; the first with one is enough."""
    readable = 0
    for index in range(len(images)):
        try:
            mask = images.pairs.read(index)[1]
        except InputError:
            continue  # reported when its batch is made
        readable += 1
        if bool((mask != VOID).any()):
            return
    if readable:
        raise InputError(
            f"{images.name}: every pixel of all {readable} masks is void ({VOID}); there is "
            "nothing to learn"
        )


def usual_size(images: SegmentationDataset) -> tuple[int, int]:
    """Return a size for the network: the most frequent one, of at most 512 pixels."""
    height, width = images.size
    scale = min(1.0, _LONGEST / max(height, width, 1))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _class_weights(images: SegmentationDataset) -> tuple[float, ...]:
    def masks() -> Any:
        for index in range(len(images)):
            try:
                yield images.pairs.read(index)[1]
            except InputError:
                continue  # reported when its batch is made

    return median_frequency_weights(masks(), len(images.classes))


def _measure(
    images: SegmentationDataset,
    preprocessing: Preprocessing,
    fabric: Fabric,
    common: dict[str, Any],
) -> Callable[[nn.Module], dict[str, float]]:
    """Return what measures a network after an epoch, in the precision that it is trained in."""
    alone = {**common, "rank": 0, "ranks": 1}
    batches = SegmentationBatches(images, 8, shuffle=False, **alone)

    def measure(network: nn.Module) -> dict[str, float]:
        with fabric.autocast():
            return mean_iou_of(
                network, batches.epoch(0), preprocessing.normalise, len(images.classes)
            )

    return measure
