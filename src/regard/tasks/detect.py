"""Detection: from words for data, network and attention to a run's folder, and its figures."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from regard.core.errors import InputError
from regard.data.annotated import stored_size
from regard.data.box_augment import BoxAugment
from regard.data.detection_batches import DetectionBatches
from regard.data.detection_dataset import DetectionDataset
from regard.data.detection_sources import open_detection
from regard.models import NetworkSpec, Preprocessing, VisionModel, build
from regard.models.detect.rt_detr import fill_rt_detr, rt_detr_options
from regard.models.load import load
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from regard.models.segment.encoder import LITE0, fill_pretrained
from regard.tasks.held_out import training_images
from regard.tasks.machine import Machine
from regard.tasks.same_classes import refuse_other_classes
from regard.tasks.trial import try_size
from regard.train import Recipe, TrainingRun, start_fabric, train_run
from regard.train.detection_evaluation import DetectionEvaluation, detect, evaluate_detector
from regard.train.detection_metrics import score_detections
from regard.train.detection_objective import Detection
from regard.train.device import Fabric

_LONGEST = 416
"""Images with a longer side are scaled down to it, unless the user says."""

_MULTIPLE = 32
"""Sides are multiples of it, the stride of most backbones."""


def detection_recipe(**values: Any) -> Recipe:
    """AdamW with warm-up and cosine, clipped, small batches: what `regard train detect` does."""
    default = Recipe(
        epochs=60,
        batch_size=8,
        optimizer="adam",
        lr=1e-3,
        weight_decay=5e-2,
        label_smoothing=0.0,
        ema=0.995,
        clip=10.0,
    )
    return default.changed(**values)


@dataclass(frozen=True)
class DetectOptions:
    """What decides the result of a training run.

    Attributes:
        data: `scenes`, or a path: Pascal VOC, COCO or YOLO.
        model: `retinanet`, `yolo`, `faster_rcnn`, or `hf:NAME` for a detector of transformers.
        attention: `NAME`, `NAME@backbone`, `NAME@neck`, `NAME@head`, `NAME@rois` (of
            `faster_rcnn`), `NAME@PLACE`, each with options, `none`, or None for what the network
            has by default.
        backbone: a word for it (see `regard.models.detect.backbone`), or None for the network's.
        model_options: the network's own options, such as `{"channels": 96}`.
        pretrained: whether the backbone starts from ImageNet's weights; None where its name says
            so (`photo:…`).
        seed: of weights, order, augmentation and sampling.
        size: (height, width) of the images in pixels; None for the data's most frequent shape,
            with a longer side of at most 416.
        validation: share of the training images to hold out and measure after each epoch. Data
            that has a `val` split of its own is measured on that instead.
        recipe: how to train.
        augment: how to augment, or None.

    """

    data: str | Path = "scenes"
    model: str = "retinanet"
    attention: str | None = None
    backbone: str | None = None
    model_options: dict[str, Any] = field(default_factory=dict)
    pretrained: bool | None = None
    seed: int = 0
    size: tuple[int, int] | None = None
    validation: float = 0.0
    recipe: Recipe = field(default_factory=detection_recipe)
    augment: BoxAugment | None = field(default_factory=BoxAugment)

    def __post_init__(self) -> None:
        """Refuse values that cannot be meant."""
        if self.recipe.label_smoothing:
            raise InputError("label_smoothing is for classifiers; set it to 0 in the recipe")
        if self.size is not None and min(self.size) < _MULTIPLE:
            raise InputError(f"size={self.size}; give (height, width), at least {_MULTIPLE} pixels")


def train(
    options: DetectOptions,
    out: str | Path,
    *,
    machine: Machine | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train a detector and leave its run in the folder `out`; go on with an interrupted run.

    Returns:
        The figures of every epoch, as in the run's `metrics.jsonl`; `validation_mAP50` and
        `validation_mAP50_95` where there are images to measure.

    Raises:
        InputError: something the options name does not exist or does not fit.

    """
    machine = machine or Machine()
    training, validation = training_images(
        lambda split: open_detection(options.data, split), options.validation
    )
    _refuse_boxless(training)
    size = options.size or usual_size(training)
    spec, network, (mean, std) = _network(options, len(training.classes))
    preprocessing = Preprocessing(
        size=size, mean=mean, std=std, resize="letterbox", interpolation="bilinear"
    )
    try_size(network, options.model, size)
    fabric = start_fabric(machine.device, machine.precision, machine.devices)
    common = {"size": size, "device": fabric.device, "workers": machine.workers}
    batches = DetectionBatches(
        training.in_memory(),
        options.recipe.batch_size,
        augment=options.augment,
        seed=options.seed,
        drop_last=len(training) >= options.recipe.batch_size,
        rank=fabric.global_rank,
        ranks=fabric.world_size,
        **common,
    )
    run = TrainingRun(
        task="detect",
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
        choices={"pretrained": _is_pretrained(options)},
    )
    return train_run(
        network,
        run,
        batches,
        out=Path(out),
        fabric=fabric,
        objective=Detection(),
        measure=_measure(validation, preprocessing, fabric, common) if validation else None,
        compile=machine.compile,
        quiet=quiet,
    )


def evaluate(
    model: VisionModel | str | Path,
    data: DetectionDataset | str | Path | None = None,
    *,
    split: str = "test",
    batch_size: int = 8,
    device: str = "cpu",
) -> DetectionEvaluation:
    """Measure a detector on whole images, brought to its size undistorted.

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
        data = open_detection(data, split)
    refuse_other_classes(model.name, model.labels, data.name, data.classes)
    batches = _whole(data, batch_size, size=model.preprocessing.size, device=device, workers=0)
    return evaluate_detector(model, batches, device=device)


def usual_size(images: DetectionDataset) -> tuple[int, int]:
    """Return a size for the network: the most frequent shape, sides multiples of 32 pixels."""
    shapes: Counter[tuple[int, int]] = Counter()
    for picture in images.pictures:
        if isinstance(picture, Path):
            with suppress(InputError):  # reported when its batch is made
                shapes[stored_size(picture)] += 1
        else:
            shapes[picture.shape[0], picture.shape[1]] += 1
    ((height, width), _), *_ = shapes.most_common(1) or [((_LONGEST, _LONGEST), 0)]
    scale = min(1.0, _LONGEST / max(height, width))
    rows, cols = (max(1, round(side * scale / _MULTIPLE)) for side in (height, width))
    return rows * _MULTIPLE, cols * _MULTIPLE


def _network(
    options: DetectOptions, classes: int
) -> tuple[NetworkSpec, nn.Module, tuple[Any, Any]]:
    """Build the network; return it with the statistics that its first weights expect."""
    if options.model.startswith("hf:"):
        return _of_transformers(options, classes)
    chosen = {"backbone": options.backbone} if options.backbone else {}
    if chosen and "backbone" in options.model_options:
        raise InputError("the backbone is given twice: in the model's options, and by itself")
    model_options = {**options.model_options, **chosen}
    spec = NetworkSpec(options.model, classes, options.attention, model_options)
    network = build(spec, seed=options.seed, task="detect")
    if not _is_pretrained(options):
        return spec, network, (IMAGENET_MEAN, IMAGENET_STD)
    return spec, network, fill_pretrained(network.get_submodule("backbone"), _backbone(options))


def _of_transformers(
    options: DetectOptions, classes: int
) -> tuple[NetworkSpec, nn.Module, tuple[Any, Any]]:
    """Build an RT-DETR of the Hugging Face hub, with its weights but for the classes' heads."""
    if options.model_options or options.backbone:
        raise InputError(
            f"{options.model} takes neither options nor a backbone: its configuration has them"
        )
    name = options.model.removeprefix("hf:")
    spec = NetworkSpec("rt_detr", classes, options.attention, rt_detr_options(name))
    network = build(spec, seed=options.seed, task="detect")
    if _is_pretrained(options):
        fill_rt_detr(network, name)
    # RT-DETR's images are in [0, 1], and no more than that.
    return spec, network, ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _backbone(options: DetectOptions) -> str:
    return options.backbone or str(options.model_options.get("backbone", "resnet18"))


def _is_pretrained(options: DetectOptions) -> bool:
    if options.pretrained is not None:
        return options.pretrained
    if options.model.startswith("hf:"):
        return True
    return _backbone(options).startswith(LITE0)


def _refuse_boxless(images: DetectionDataset) -> None:
    if not any(images.counts.values()):
        raise InputError(
            f"{images.name} has not one box in {len(images)} images; a detector learns from "
            "boxes: check where its annotations lie"
        )


def _whole(data: DetectionDataset, batch_size: int, **common: Any) -> DetectionBatches:
    return DetectionBatches(data, batch_size, shuffle=False, keep_ignored=True, **common)


def _measure(
    images: DetectionDataset,
    preprocessing: Preprocessing,
    fabric: Fabric,
    common: dict[str, Any],
) -> Callable[[nn.Module], dict[str, float]]:
    """Return what measures a network after an epoch, in the precision that it is trained in."""
    batches = _whole(images.in_memory(), 8, **common)

    def measure(network: nn.Module) -> dict[str, float]:
        with fabric.autocast():
            found, truth = detect(network, batches, preprocessing.normalise, device=fabric.device)
        scores = score_detections(found, truth, images.classes, draws=0)
        return {"mAP50": scores.map50.value, "mAP50_95": scores.map50_95.value}

    return measure
