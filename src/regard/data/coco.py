"""COCO: all boxes of a split in one JSON file.

Lin, Maire, Belongie et al. 2014, "Microsoft COCO: Common Objects in Context" (arXiv 1405.0312).
Boxes are (left, top, width, height) in pixels; crowds are to be ignored. The file may lie beside
the images (`train/_annotations.coco.json`), in a folder of its own
(`annotations/instances_train2017.json`, images in `train2017/`), or be given itself.
"""

import json
from pathlib import Path
from typing import Any

from regard.core.errors import InputError
from regard.data.annotated import (
    Annotated,
    Corners,
    NamedBox,
    Reading,
    Unread,
    choose_split,
)
from regard.data.image_folder import SPLIT_FOLDERS

_NAN = float("nan")
_NO_BOX: Corners = (_NAN, _NAN, _NAN, _NAN)


def coco_splits(folder: Path) -> dict[str, Path]:
    """Return the JSON file of each split in a folder; empty where there is none."""
    found: dict[str, Path] = {}
    for split, names in SPLIT_FOLDERS.items():
        for name in names:
            patterns = (
                f"annotations/instances_{name}*.json",
                f"annotations/{name}*.json",
                f"{name}/_annotations.coco.json",
                f"{name}/annotations.json",
                f"{name}.json",
            )
            for pattern in patterns:
                for file in sorted(folder.glob(pattern)):
                    found.setdefault(split, file)
    return found


def is_coco(path: Path) -> bool:
    """Return True if this is a JSON file, or a folder with COCO annotations."""
    return path.suffix.lower() == ".json" if path.is_file() else bool(coco_splits(path))


def read_coco(path: str | Path, split: str = "train") -> Reading:
    """Read a split. The classes are the file's categories, by their ids.

    Args:
        path: a JSON file, or a folder as described above.
        split: `train`, `val` or `test`; `train` or `all` of a single file is all of it.

    Raises:
        InputError: there is no such split, or the file is no COCO JSON.

    """
    path = Path(path)
    if path.is_file():
        choose_split(split, {}, path)
        file, root = path, path.parent
    else:
        splits = coco_splits(path)
        if not splits:
            raise InputError(f"{path} has no COCO annotations; give the JSON file")
        found = choose_split(split, splits, path)
        file, root = found or path, path
    content = _content(file)
    classes, images, annotations = (
        _entries(content, key, file) for key in ("categories", "images", "annotations")
    )
    names = _categories(classes, file)
    unread: list[Unread] = []
    by_image = _boxes(annotations, names, file, unread)
    name = f"{path.stem}/{split}"
    pictures = []
    for entry in images:
        known = isinstance(entry.get("id"), int | str)
        if not known or not isinstance(entry.get("file_name"), str):
            unread.append(Unread(file, "an image without proper id or file_name"))
            continue
        picture = _image(entry["file_name"], file, root, split)
        pictures.append(
            Annotated(picture, tuple(by_image.pop(entry["id"], ())), file, _size(entry))
        )
    unread += [Unread(file, f"boxes of image {lost!r}, which is not listed") for lost in by_image]
    return Reading(tuple(pictures), tuple(dict.fromkeys(names.values())), name, tuple(unread))


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}; "
            "get the file again"
        ) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds a {type(content).__name__}; COCO's JSON is an object")
    return content


def _entries(content: dict[str, Any], key: str, file: Path) -> list[dict[str, Any]]:
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise InputError(f"{file} has no list of {key}; COCO's JSON has one of objects")
    return found


def _categories(entries: list[dict[str, Any]], file: Path) -> dict[Any, str]:
    """Return the names by id, in the order of the ids."""
    names: dict[int, str] = {}
    for entry in entries:
        key, name = entry.get("id"), entry.get("name")
        if not isinstance(key, int) or not isinstance(name, str):
            raise InputError(f"{file}: a category without a number as id or a name; add them")
        names[key] = name
    return {key: names[key] for key in sorted(names)}


def _boxes(
    entries: list[dict[str, Any]], names: dict[Any, str], file: Path, unread: list[Unread]
) -> dict[Any, list[NamedBox]]:
    """Return the boxes by the id of their image."""
    found: dict[Any, list[NamedBox]] = {}
    for entry in entries:
        category = entry.get("category_id")
        try:
            name = names.get(category, f"category {category}")
            crowd = bool(entry.get("iscrowd"))
            box = NamedBox(_corners(entry.get("bbox")), name, crowd)
            found.setdefault(entry.get("image_id"), []).append(box)
        except TypeError:  # a list or an object where an id should be
            unread.append(Unread(file, f"annotation {entry.get('id')!r} has no proper ids"))
    return found


def _corners(box: Any) -> Corners:
    """Return xyxy; NaN where there are not four numbers: the check will say so."""
    if not isinstance(box, list) or len(box) != 4:
        return _NO_BOX
    if not all(isinstance(side, int | float) for side in box):
        return _NO_BOX
    left, top, width, height = map(float, box)
    return left, top, left + width, top + height


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _image(name: str, file: Path, root: Path, split: str) -> Path:
    """Return where an image lies: beside the JSON file, or in a folder for images."""
    parents = [file.parent, root]
    stem = file.stem.removeprefix("instances_")
    folders = (stem, split, *SPLIT_FOLDERS.get(split, ()))
    for parent in (root, root.parent):
        parents += [parent / "images" / folder for folder in folders]
        parents += [parent / folder for folder in folders]
        parents.append(parent / "images")
    return next((parent / name for parent in parents if (parent / name).is_file()), root / name)
