"""What an annotation file says of one image, as it is read and before it is checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from regard.core.errors import InputError, unknown_name

Corners = tuple[float, float, float, float]
"""xyxy in pixels; anything at all, also NaN."""

_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@dataclass(frozen=True)
class NamedBox:
    """One box.

    Attributes:
        corners: xyxy in pixels.
        name: of its class.
        ignored: neither to be found nor to be missed: VOC's difficult objects, COCO's crowds.

    """

    corners: Corners
    name: str
    ignored: bool = False


@dataclass(frozen=True)
class Annotated:
    """One image and its boxes.

    Attributes:
        file: the image.
        boxes: as they are written.
        source: the file that says so.
        size: (height, width) that the annotation claims, or None.

    """

    file: Path
    boxes: tuple[NamedBox, ...]
    source: Path
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Unread:
    """A file, or a line of one, that cannot be understood.

    Attributes:
        file: which.
        why: in a few words.

    """

    file: Path
    why: str


@dataclass(frozen=True)
class Reading:
    """A split of a data set, read and not yet checked.

    Attributes:
        images: with their boxes.
        classes: the names that count.
        name: what the set is called in reports.
        unread: what could not be understood.

    """

    images: tuple[Annotated, ...]
    classes: tuple[str, ...]
    name: str
    unread: tuple[Unread, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.images:
            more = [f"; the first problem: {each.file}: {each.why}" for each in self.unread[:1]]
            raise InputError(f"{self.name} has no annotated images{''.join(more)}")
        if not self.classes:
            raise InputError(f"{self.name} has no boxes in any of {len(self.images)} images")


def choose_split(split: str, splits: Mapping[str, Path], source: Path) -> Path | None:
    """Return where a split lies; None where the source is one whole and that is asked for.

    Raises:
        InputError: there is no such split.

    """
    if split in splits:
        return splits[split]
    if splits:
        raise unknown_name(f"split of {source}", split, splits)
    if split not in ("train", "all"):
        raise InputError(
            f"{source} is not divided into splits, so it has no {split!r}; ask for 'train'"
        )
    return None


def stored_size(file: Path) -> tuple[int, int]:
    """Return (height, width) of an image, upright, from the file's header.

    Raises:
        InputError: the file is missing or no image.

    """
    try:
        with Image.open(file) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112) in _SIDEWAYS
    except FileNotFoundError as error:
        raise InputError(f"{file} does not exist; check the path") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} is not an image that can be read") from error
    return (width, height) if turned else (height, width)
