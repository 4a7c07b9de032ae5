"""From what the user wrote after `--data` to a set of images with boxes."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from regard.core.errors import InputError, unknown_name
from regard.data.annotated import Reading
from regard.data.box_check import Rule, check_boxes
from regard.data.coco import is_coco, read_coco
from regard.data.detection_dataset import DetectionDataset
from regard.data.detection_scenes import make_detection_scenes
from regard.data.voc import is_voc, read_voc
from regard.data.yolo_txt import is_yolo, read_yolo

DETECTION_SOURCES: Mapping[str, str] = {
    "scenes": "synthetic 96×96 images, ten classes, none to four boxes each",
    "PATH": "Pascal VOC folder, COCO JSON or its folder, YOLO folder or data.yaml",
}
"""What `open_detection` takes, and what it gives."""

BoxKind = Literal["voc", "coco", "yolo"]

_KNOWN = (
    "give a folder with Annotations/*.xml (Pascal VOC), a COCO JSON file or a folder with "
    "annotations/*.json, or a folder with data.yaml or images/ and labels/ (YOLO)"
)

# The number of scenes and the seed for each split.
_SCENES = {"train": (2_000, 1), "val": (200, 2), "test": (400, 3)}

_READERS: dict[BoxKind, Callable[[Path, str], Reading]] = {
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
}


def recognise_boxes(path: str | Path) -> tuple[BoxKind, Path]:
    """Return the kind of the boxes at `path`, and where exactly they lie.

    A folder that holds nothing but the data set's own folder (`VOCdevkit/VOC2012`) will do.

    Raises:
        InputError: nothing is there, or nothing that is known.

    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist; {_KNOWN}")
    inside = [each for each in sorted(path.iterdir()) if each.is_dir()] if path.is_dir() else []
    for place in (path, *(inside if len(inside) == 1 else ())):
        if is_voc(place):
            return "voc", place
        if is_coco(place):
            return "coco", place
        if is_yolo(place):
            return "yolo", place
    raise InputError(f"{path} holds no boxes of a kind that is known; {_KNOWN}")


def open_detection(
    spec: str | Path | None = None, split: str = "train", rule: Rule = "fix"
) -> DetectionDataset:
    """Open a split of a set of images with boxes, check the boxes, and log what was wrong.

    Args:
        spec: `scenes` (also the default, None), or a path, whose kind is recognised.
        split: `train`, `test` or, where there is one, `val`.
        rule: what to do with wrong boxes (see `regard.data.box_check`).

    Raises:
        InputError: no such data, no such split, or nothing in it that can be used.

    """
    if spec is None or spec == "scenes":
        if split not in _SCENES:
            raise unknown_name("split of the scenes", split, _SCENES)
        count, seed = _SCENES[split]
        return make_detection_scenes(count, seed=seed, name=f"scenes/{split}")
    if isinstance(spec, str) and spec.isidentifier() and not Path(spec).exists():
        raise InputError(f"no data {spec!r}: give scenes, or a path that exists")
    kind, place = recognise_boxes(spec)
    reading = _READERS[kind](place, split)
    images, report = check_boxes(reading, rule)
    if report.problems:
        for line in report.lines():
            logging.getLogger("regard").warning("%s", line)
    return DetectionDataset.of(images, reading.classes, reading.name, report)
