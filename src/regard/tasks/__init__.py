"""Whole tasks by name: data, network and recipe put together, trained and evaluated."""

from regard.tasks import detect, segment
from regard.tasks.classify import ClassifyOptions, train
from regard.tasks.detect import DetectOptions
from regard.tasks.evaluation import evaluate
from regard.tasks.machine import Machine
from regard.tasks.segment import SegmentOptions

__all__ = [
    "ClassifyOptions",
    "DetectOptions",
    "Machine",
    "SegmentOptions",
    "detect",
    "evaluate",
    "segment",
    "train",
]
