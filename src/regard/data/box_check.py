"""Boxes checked against their images: what is wrong, where, and what was done about it.

Annotation files are made by hand. A box outside of its image, or with swapped corners, does not
stop a training; it only makes the detector worse. So every box is checked when a set is opened, and
a report says what was found.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from regard.core.errors import InputError
from regard.data.annotated import Annotated, Corners, NamedBox, Reading, stored_size

Rule = Literal["fix", "drop", "refuse"]
"""`fix`: swap corners back, clip to the image, drop what has no remedy. `drop`: drop every box that
is wrong in any way. `refuse`: raise at the first set that has a wrong box."""

KINDS: dict[str, str] = {
    "unread": "could not be read",
    "no image": "name an image that is missing or no image",
    "repeated image": "name an image that was named before",
    "other size": "claim another size than the image has",
    "no boxes": "have no boxes",
    "not a number": "have a corner that is no number",
    "swapped": "have their corners swapped",
    "outside": "lie outside of the image",
    "reaches out": "reach out of the image",
    "empty": "have no area",
    "unknown class": "have a class that is not known",
    "duplicate": "are there twice",
    "unused class": "never appear",
}
"""Everything that can be wrong, and how a report says it."""

_OF_BOXES = frozenset(
    ("not a number", "swapped", "outside", "reaches out", "empty", "unknown class", "duplicate")
)
_HARMLESS = frozenset(("no boxes", "unused class", "other size"))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: a key of `KINDS`.
        file: the annotation file, or the image where that is what is wrong.
        detail: the box, class or size.
        remedy: what was done: `kept`, `left out`, `clipped`, `swapped back`.

    """

    kind: str
    file: Path
    detail: str
    remedy: str


@dataclass(frozen=True)
class BoxReport:
    """What the check of a set found.

    Attributes:
        name: of the set.
        images: how many there are now.
        boxes: how many there are now.
        problems: in the order of the files.

    """

    name: str
    images: int
    boxes: int
    problems: tuple[Problem, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many problems there are of each kind; kinds without any are left out."""
        found = Counter(problem.kind for problem in self.problems)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def lines(self, *, files: int = 3) -> list[str]:
        """Return the report in words: a line for the set and one for each kind of problem.

        Args:
            files: how many file names a line gives.

        """
        told = [f"{self.name}: {self.images:,} images with {self.boxes:,} boxes"]
        for kind, count in self.counts.items():
            of_kind = [problem for problem in self.problems if problem.kind == kind]
            remedies = ", ".join(
                f"{number} {remedy}" if number < count else remedy
                for remedy, number in Counter(each.remedy for each in of_kind).items()
            )
            names = list(
                dict.fromkeys(f"{each.file.name} {each.detail}".strip() for each in of_kind)
            )
            more = f" and {len(names) - files} more" if len(names) > files else ""
            told.append(
                f"{_noun(kind)} that {KINDS[kind]}: {count} ({remedies}): "
                f"{'; '.join(names[:files])}{more}"
            )
        return told

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "images": self.images,
            "boxes": self.boxes,
            "counts": self.counts,
            "problems": [
                {
                    "kind": each.kind,
                    "file": str(each.file),
                    "detail": each.detail,
                    "remedy": each.remedy,
                }
                for each in self.problems
            ],
        }


def _noun(kind: str) -> str:
    if kind in _OF_BOXES:
        return "boxes"
    if kind == "unused class":
        return "classes"
    return "images" if kind == "no boxes" else "annotations"


def check_boxes(reading: Reading, rule: Rule = "fix") -> tuple[tuple[Annotated, ...], BoxReport]:
    """Return the images that can be used, with boxes inside of them, and what was wrong.

    Images without boxes stay: they teach what is no object. Where the annotation claims another
    size than the image has, the boxes are taken to be in the image's own pixels.

    Raises:
        InputError: the rule is `refuse` and a box or file is wrong; or no image is left.

    """
    if rule not in ("fix", "drop", "refuse"):
        raise InputError(f"rule={rule!r} for wrong boxes; choose from: fix, drop, refuse")
    problems = [Problem("unread", each.file, each.why, "left out") for each in reading.unread]
    kept: list[Annotated] = []
    seen: set[Path] = set()
    for image in reading.images:
        if image.file in seen:
            problems.append(Problem("repeated image", image.source, image.file.name, "left out"))
            continue
        seen.add(image.file)
        checked = _check_image(image, frozenset(reading.classes), rule, problems)
        if checked is not None:
            kept.append(checked)
    problems += _unused(kept, reading)
    report = BoxReport(
        reading.name, len(kept), sum(len(each.boxes) for each in kept), tuple(problems)
    )
    serious = [each for each in problems if each.kind not in _HARMLESS]
    if not kept or (rule == "refuse" and serious):
        raise InputError(_refusal(report, serious))
    return tuple(kept), report


def _check_image(
    image: Annotated, classes: frozenset[str], rule: Rule, problems: list[Problem]
) -> Annotated | None:
    """Return the image with the boxes that stay, or None where there is no image."""
    try:
        size = stored_size(image.file)
    except InputError as error:
        problems.append(Problem("no image", image.source, str(error), "left out"))
        return None
    if image.size is not None and image.size != size:
        claim = f"{image.size[0]}×{image.size[1]}, truly {size[0]}×{size[1]}"
        problems.append(Problem("other size", image.source, claim, "kept"))
    boxes: list[NamedBox] = []
    for box in image.boxes:
        remedied: NamedBox | None = box
        for kind, remedy, better in _faults(box, size, classes, boxes):
            remedied = None if rule == "drop" else better
            told = "left out" if remedied is None else remedy
            problems.append(Problem(kind, image.source, _written(box), told))
            if remedied is None:
                break
        if remedied is not None:
            boxes.append(remedied)
    if not boxes:
        problems.append(Problem("no boxes", image.source, "", "kept as background"))
    return replace(image, boxes=tuple(boxes), size=size)


def _faults(
    box: NamedBox, size: tuple[int, int], classes: frozenset[str], before: Sequence[NamedBox]
) -> Iterable[tuple[str, str, NamedBox | None]]:
    """Yield what is wrong: kind, remedy, and the remedied box (None where there is no remedy)."""
    if box.name not in classes:
        yield "unknown class", "left out", None
        return
    if not all(math.isfinite(side) for side in box.corners):
        yield "not a number", "left out", None
        return
    left, top, right, bottom = box.corners
    if left > right or top > bottom:
        left, right = sorted((left, right))
        top, bottom = sorted((top, bottom))
        box = replace(box, corners=(left, top, right, bottom))
        yield "swapped", "swapped back", box
    if left == right or top == bottom:
        yield "empty", "left out", None
        return
    inside = _inside(box.corners, size)
    if inside is None:
        yield "outside", "left out", None
        return
    if inside != box.corners:
        box = replace(box, corners=inside)
        yield "reaches out", "clipped", box
    if box in before:
        yield "duplicate", "left out", None


def _inside(corners: Corners, size: tuple[int, int]) -> Corners | None:
    """Return the part of a box inside the image, or None."""
    height, width = size
    left, top, right, bottom = corners
    left, right = max(left, 0.0), min(right, float(width))
    top, bottom = max(top, 0.0), min(bottom, float(height))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _written(box: NamedBox) -> str:
    return f"{box.name} ({', '.join(f'{side:g}' for side in box.corners)})"


def _unused(images: Sequence[Annotated], reading: Reading) -> list[Problem]:
    """Return the classes of which there is not one box."""
    used = {box.name for image in images for box in image.boxes}
    source = reading.images[0].source.parent
    return [
        Problem("unused class", source, name, "kept")
        for name in reading.classes
        if name not in used
    ]


def _refusal(report: BoxReport, serious: Sequence[Problem]) -> str:
    counts = Counter(each.kind for each in serious)
    told = ", ".join(
        f"{_noun(kind)} that {KINDS[kind]}: {number}" for kind, number in counts.items()
    )
    first = f"{serious[0].file} {serious[0].detail}" if serious else "nothing"
    fix = "use the rule 'fix'" if report.images else "check the paths of the images"
    return f"{report.name}: {told}, the first: {first}; correct them or {fix}"
