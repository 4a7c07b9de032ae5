"""YOLO's folders: one text file an image, and a `data.yaml` that names the classes.

As darknet and its successors write it: `images/…/NAME.jpg` has its boxes in `labels/…/NAME.txt`, a
line each of class, centre x, centre y, width and height, in shares of the image's sides; five or
more points instead of a box are an outline, whose box is taken. An image without a file has no
boxes.
"""

from pathlib import Path
from typing import Any

import yaml

from regard.core.errors import InputError
from regard.data.annotated import Annotated, Corners, NamedBox, Reading, Unread, choose_split
from regard.data.annotated import stored_size as size_of
from regard.data.image_folder import SPLIT_FOLDERS, is_image_name

_YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def yolo_description(path: Path) -> Path | None:
    """Return the yaml file of a data set, given itself or its folder; None without one."""
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml") else None
    return next((path / name for name in _YAML if (path / name).is_file()), None)


def is_yolo(path: Path) -> bool:
    """Return True if this is a yaml file, or a folder with one or with images and labels."""
    if yolo_description(path) is not None:
        return True
    return path.is_dir() and any(
        next(folder.rglob("*.txt"), None) is not None for folder in _label_folders(path)
    )


def read_yolo(path: str | Path, split: str = "train") -> Reading:
    """Read a split. Without a yaml file the classes are called by their numbers.

    Args:
        path: the yaml file, or its folder.
        split: `train`, `val` or `test`.

    Raises:
        InputError: there is no such split, no image, or the yaml file makes no sense.

    """
    path = Path(path)
    description = yolo_description(path)
    root = path.parent if path.is_file() else path
    content = _content(description) if description else {}
    splits = _splits(root, content)
    chosen = choose_split(split, splits, path)
    files = _images(chosen or root / "images")
    unread: list[Unread] = []
    raw = [(file, _labels(file)) for file in files]
    names = _classes(content, description, [labels for _, labels in raw])
    images = tuple(_annotated(file, labels, names, unread) for file, labels in raw)
    return Reading(images, tuple(names.values()), f"{root.resolve().name}/{split}", tuple(unread))


def _label_folders(path: Path) -> list[Path]:
    """Return where labels lie: `labels`, or `train/labels` and the like."""
    inside = [path / name / "labels" for names in SPLIT_FOLDERS.values() for name in names]
    return [folder for folder in (path / "labels", *inside) if folder.is_dir()]


def _content(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is no YAML that can be read: {reason}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} names no classes; give it names: [first, second, …]")
    return content


def _splits(root: Path, content: dict[str, Any]) -> dict[str, Path]:
    """Return the folder of images, or the list of them, of each split."""
    base = root / str(content.get("path") or ".")
    base = base if base.is_dir() else root  # a path of the machine where the file was made
    found: dict[str, Path] = {}
    for split, names in SPLIT_FOLDERS.items():
        for name in names:
            given = content.get(name)
            given = given[0] if isinstance(given, list) and given else given
            places = [base / str(given), root / str(given)] if given else []
            # Roboflow writes ../train/images and means train/images.
            places += [root / str(given).removeprefix("../")] if given else []
            places += [root / "images" / name, root / name / "images"]
            place = next((each for each in places if each.exists()), None)
            if place is not None:
                found.setdefault(split, place)
    return found


def _images(place: Path) -> list[Path]:
    """Return the images of a folder, or of a text file that lists them."""
    if place.is_file():
        lines = place.read_text("utf-8-sig", errors="replace").splitlines()
        return [place.parent / line.strip() for line in lines if line.strip()]
    if not place.is_dir():
        raise InputError(f"{place} does not exist; YOLO's images lie in images/")
    return sorted(filter(is_image_name, place.rglob("*")))


def _labels(image: Path) -> tuple[Path, list[list[str]]]:
    """Return the text file of an image, and the words of each of its lines."""
    parts = list(image.parts)
    for at in reversed(range(len(parts) - 1)):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    source = Path(*parts).with_suffix(".txt")
    if not source.is_file():
        return source, []
    text = source.read_text("utf-8-sig", errors="replace")
    return source, [line.split() for line in text.splitlines() if line.strip()]


def _classes(
    content: dict[str, Any],
    description: Path | None,
    labels: list[tuple[Path, list[list[str]]]],
) -> dict[str, str]:
    """Return the names of the classes by their numbers, as they are written in the files."""
    names = content.get("names")
    if isinstance(names, dict):
        return {str(key): str(name) for key, name in sorted(names.items())}
    if isinstance(names, list):
        return {str(key): str(name) for key, name in enumerate(names)}
    if description is not None:
        raise InputError(f"{description} names no classes; give it names: [first, second, …]")
    used = {words[0] for _, lines in labels for words in lines if words[0].isdigit()}
    return {str(key): f"class {key}" for key in range(max(map(int, used), default=-1) + 1)}


def _annotated(
    file: Path,
    labels: tuple[Path, list[list[str]]],
    names: dict[str, str],
    unread: list[Unread],
) -> Annotated:
    source, lines = labels
    try:
        size = size_of(file) if lines else (1, 1)
    except InputError:
        return Annotated(file, (), source)  # the check will say what is wrong with it
    boxes = []
    for number, words in enumerate(lines, 1):
        # Some tools write the class as 0.0.
        key = words[0].removesuffix(".0")
        corners = _corners(words[1:], size)
        if corners is None:
            unread.append(Unread(source, f"line {number} is no class and box: {' '.join(words)}"))
            continue
        boxes.append(NamedBox(corners, names.get(key, f"class {words[0]}")))
    return Annotated(file, tuple(boxes), source)


def _corners(words: list[str], size: tuple[int, int]) -> Corners | None:
    """Return xyxy in pixels of a box or an outline; None where it is neither."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    height, width = size
    if len(numbers) == 4:
        x, y, wide, high = numbers
        sides = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    elif len(numbers) >= 6 and len(numbers) % 2 == 0:
        across, down = numbers[::2], numbers[1::2]
        sides = (min(across), min(down), max(across), max(down))
    else:
        return None
    left, top, right, bottom = sides
    return left * width, top * height, right * width, bottom * height
