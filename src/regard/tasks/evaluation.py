"""Measure a model on a split, whatever its task is."""

from pathlib import Path
from typing import Any

from regard.models import VisionModel
from regard.models.load import load
from regard.tasks import classify, detect, segment
from regard.train.detection_evaluation import DetectionEvaluation
from regard.train.evaluate import Evaluation
from regard.train.segmentation_evaluation import SegmentationEvaluation


def evaluate(
    model: VisionModel | str | Path,
    data: Any = None,
    *,
    split: str = "test",
    batch_size: int | None = None,
    device: str = "cpu",
) -> Evaluation | DetectionEvaluation | SegmentationEvaluation:
    """Measure a model by the figures of its task.

    Args:
        model: a model, or what `regard.load` takes.
        data: a data set of the model's task, `scenes`, `cifar10` or a path; by default the scenes.
        split: which part of the data.
        batch_size: images at a time; by default what suits the task.
        device: where to run.

    Raises:
        InputError: no such model, data or split; or the data's classes are not the model's.

    """
    if not isinstance(model, VisionModel):
        model = load(model)
    sized = {} if batch_size is None else {"batch_size": batch_size}
    if model.task == "detect":
        return detect.evaluate(model, data, split=split, device=device, **sized)
    if model.task == "segment":
        return segment.evaluate(model, data, split=split, device=device, **sized)
    return classify.evaluate(model, data, split=split, device=device, **sized)
