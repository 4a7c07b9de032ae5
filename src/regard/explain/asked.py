"""What a user asks to be explained, whatever the model's task: a class, a box or a mask.

The same words mean what there is to explain: `"dog"` is the class of a classifier, the surest box
of a detector, the mask of a segmenter; `"top-2"` the second likeliest of them. `@` names a place in
pixels of what the model looks at, alone or after a class: `"dog@10,20,90,80"` is a box (left, top,
right, bottom) and `"road@64,32"` a pixel (x, y).
"""

import re
from typing import Any

import torch

from regard.core.errors import InputError
from regard.explain.box_target import BoxTarget
from regard.explain.detections import is_detection, is_list
from regard.explain.mask_target import ClassMask, Pixel, Region, is_dense
from regard.explain.subject import Subject
from regard.explain.targets import Score, Target, TargetLike, resolve

_RANK = re.compile(r"top-(\d+)")
_AT = re.compile(r"(?P<name>.*?)@(?P<numbers>\s*[-\d.]+(\s*,\s*[-\d.]+)*)\s*")


def asked(target: TargetLike, output: Any, seen: Subject) -> tuple[Score, tuple[str, ...]]:
    """Return the score of what a user asks for, and what was chosen where nobody said.

    Args:
        target: what the user wants: as of `regard.explain.targets.resolve`, or the words above.
        output: what the model returned for the images.
        seen: the model and the images.

    Raises:
        InputError: the model's output has no such thing.

    """
    if isinstance(target, Target):
        return target.score(output, seen.labels), ()
    written = target is None or isinstance(target, (int, str, tuple))
    if written and is_detection(output):
        score = _box(target, output, seen).score(output, seen.labels)
        return score, _why(target, score, "the box that the detector is surest of")
    if written and _segments(target, output, seen):
        score = _mask(target, output, seen).score(output, seen.labels)
        return score, _why(target, score, "the largest mask that is not background")
    if isinstance(target, str) and (found := _AT.fullmatch(target)) and target not in seen.labels:
        raise InputError(
            f"target {target!r} names a place, {found['numbers']}, which is explained of detectors "
            "and segmenters; give a class"
        )
    return resolve(target, output, seen.labels, headless=seen.headless), ()


def _segments(target: Any, output: Any, seen: Subject) -> bool:
    """Return True if words mean masks; features of a backbone are maps too, and are none."""
    if seen.headless or not is_dense(output):
        return False
    return target is not None or bool(seen.labels) or getattr(seen.model, "task", "") == "segment"


def _why(target: Any, score: Score, rule: str) -> tuple[str, ...]:
    """Return which of the boxes or masks was chosen, and by what rule."""
    if target is not None:
        return ()
    places = zip(score.names, score.places, strict=True)
    told = ", ".join(f"{name} ({place.sure:.0%})" for name, place in places)
    return (f"{told}: {rule}",)


def _box(target: Any, output: Any, seen: Subject) -> BoxTarget:
    _no_contrast(target)
    if target is None:
        return BoxTarget()
    if isinstance(target, str) and (rank := _RANK.fullmatch(target)):
        return BoxTarget(int(rank[1]) - 1)
    name, numbers = _place(target, seen)
    if not numbers:
        return BoxTarget(name=name)
    if len(numbers) != 4:
        raise InputError(
            f"target {target!r} names no box; write CLASS@LEFT,TOP,RIGHT,BOTTOM in pixels, or "
            "without the class"
        )
    left, top, right, bottom = numbers
    if not is_list(output):
        height, width = seen.images.shape[2:]
        left, top, right, bottom = left / width, top / height, right / width, bottom / height
    return BoxTarget(name=name, box=(left, top, right, bottom))


def _mask(target: Any, output: Any, seen: Subject) -> Target:
    _no_contrast(target)
    if target is None:
        return ClassMask()
    if isinstance(target, str) and (rank := _RANK.fullmatch(target)):
        return ClassMask(rank=int(rank[1]) - 1)
    name, numbers = _place(target, seen)
    if not numbers:
        return ClassMask(name)
    height, width = seen.images.shape[2:]
    if len(numbers) == 2:
        x, y = numbers
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(
                f"target {target!r} is outside of what the model looks at, {width}×{height} pixels"
            )
        return Pixel(y / height, x / width, name)
    if len(numbers) != 4:
        raise InputError(
            f"target {target!r} names no region; write CLASS@X,Y or CLASS@LEFT,TOP,RIGHT,BOTTOM "
            "in pixels, or either without the class"
        )
    left, top, right, bottom = (max(0, round(number)) for number in numbers)
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return Region(name, mask)


def _place(target: int | str, seen: Subject) -> tuple[int | str | None, tuple[float, ...]]:
    """Return the class that words name, or None, and the numbers of the place, or none."""
    found = _AT.fullmatch(target) if isinstance(target, str) and target not in seen.labels else None
    if found is None:
        return target, ()
    try:
        numbers = tuple(float(number) for number in found["numbers"].split(","))
    except ValueError as error:
        raise InputError(
            f"target {target!r}: {found['numbers']!r} are no numbers with commas between"
        ) from error
    return found["name"].strip() or None, numbers


def _no_contrast(target: Any) -> None:
    if isinstance(target, tuple):
        raise InputError(
            f"one class rather than another, {' / '.join(map(str, target))}, is explained of "
            "classifiers; give the class of a box or mask"
        )
