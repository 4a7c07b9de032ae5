"""What a model's output comes to, as one number for each class: the last stage of a walk."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from regard.core.pipeline import Answer, Array
from regard.explain.detections import is_detection, is_list, places_of
from regard.explain.mask_target import dense_scores, is_dense
from regard.explain.targets import class_scores, has_classes


def answer_of(output: Any, labels: Sequence[str] | None) -> tuple[Answer, Array] | None:
    """Return what an output tells of one image, and a number (class,) for each class.

    Of a classifier, the probabilities; of a segmenter, the share of the pixels that each class is
    the likeliest of; of a detector, the score of the surest place of each class. None where the
    output is features. A map of features looks like a segmenter's, and is taken for one only if
    it has as many channels as there are labels.

    Args:
        output: of the model, for one image.
        labels: the class names; None where they are not known.

    """
    if has_classes(output):
        return "classes", class_scores(output)[0].double().softmax(0).cpu().numpy()
    if is_detection(output):
        return _of_boxes(output, len(labels or ()))
    if labels and is_dense(output) and dense_scores(output).shape[1] == len(labels):
        likeliest = dense_scores(output)[0].argmax(0).flatten()
        counts = torch.bincount(likeliest, minlength=len(labels)).double()
        return "pixels", (counts / counts.sum()).cpu().numpy()
    return None


def _of_boxes(output: Any, classes: int) -> tuple[Answer, Array] | None:
    found = places_of(output, labels=classes)[0].classes
    told = found.shape[1]
    # A list of boxes tells of classes only as far as the last that was found.
    if not classes or told > classes or (told < classes and not is_list(output)):
        return None
    numbers = np.zeros(classes)
    if len(found):
        numbers[:told] = found.amax(0).double().cpu().numpy()
    return "boxes", numbers
