"""Detectors and what they are built of."""

from regard.models.detect import faster_rcnn, retinanet, rt_detr, yolo
from regard.models.detect.detector import Detections, Detector, Losses, Raw, Selection, Truth

__all__ = [
    "Detections",
    "Detector",
    "Losses",
    "Raw",
    "Selection",
    "Truth",
    "faster_rcnn",
    "retinanet",
    "rt_detr",
    "yolo",
]
