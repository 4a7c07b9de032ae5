"""Measure a model on a split, whatever its task is."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from regard.core.errors import InputError
from regard.data.detection_sources import recognise_boxes
from regard.data.mask_folder import has_mask_folders
from regard.models import VisionModel
from regard.models.load import load
from regard.tasks import classify, detect, segment
from regard.train.detection_evaluation import DetectionEvaluation
from regard.train.device import device_for
from regard.train.evaluate import Evaluation
from regard.train.segmentation_evaluation import SegmentationEvaluation


def evaluate(
    model: VisionModel | str | Path,
    data: Any = None,
    *,
    split: str = "test",
    batch_size: int | None = None,
    device: str = "cpu",
    mirror: bool = False,
) -> Evaluation | DetectionEvaluation | SegmentationEvaluation:
    """Measure a model by the figures of its task.

    Args:
        model: a model, or what `regard.load` takes.
        data: a data set of the model's task, `scenes`, `cifar10` or a path; by default the scenes.
        split: which part of the data.
        batch_size: images at a time; by default what suits the task.
        device: where to run: `cpu`, `cuda`, `mps` or `auto`.
        mirror: judge each image together with its mirror image; of classifiers.

    Raises:
        InputError: no such model, data or split; the data's classes are not the model's; or images
            are to be mirrored for boxes or masks.

    """
    if not isinstance(model, VisionModel):
        model = load(model)
    device = device_for(device)
    sized = {} if batch_size is None else {"batch_size": batch_size}
    if mirror and model.task in ("detect", "segment"):
        raise InputError(
            f"{model.name} finds {'boxes' if model.task == 'detect' else 'masks'}, which are not "
            "averaged over mirror images; leave mirror out"
        )
    if model.task == "detect":
        return detect.evaluate(model, data, split=split, device=device, **sized)
    if model.task == "segment":
        return segment.evaluate(model, data, split=split, device=device, **sized)
    try:
        return classify.evaluate(model, data, split=split, device=device, mirror=mirror, **sized)
    except InputError as error:
        held = _held_by(data)
        if not held:
            raise
        raise InputError(
            f"{model.name} is a classifier, and {data} holds {held}; give images in one folder a "
            "class"
        ) from error


def _held_by(data: Any) -> str:
    """Return what a path that is no classifier's data holds; empty where that is not clear."""
    if not isinstance(data, str | Path) or not Path(data).expanduser().is_dir():
        return ""
    path = Path(data).expanduser()
    with suppress(InputError):
        recognise_boxes(path)
        return "images with boxes"
    return "images with masks" if has_mask_folders(path) else ""
