"""COCO's instances or panoptic annotations as a class for every pixel."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from PIL import Image

from regard.core.errors import InputError
from regard.core.labels import VOID
from regard.data.image_file import image_to_tensor, read_image
from regard.data.image_folder import SPLIT_FOLDERS
from regard.data.left_out import warn_left_out
from regard.data.run_length import decode_run_length
from regard.data.segmentation_dataset import ClassMask, Picture, SegmentationDataset

BACKGROUND = "background"
"""What the pixels of no instance are called; class 0 of instances."""

_WANTED: Mapping[str, Mapping[str, Any]] = {
    "images": {"id": int | str, "file_name": str, "height": int, "width": int},
    "annotations": {"image_id": int | str},
    "categories": {"id": int, "name": str},
}
"""What the parts of a COCO file have, and of which type."""


@dataclass(frozen=True, eq=False)
class CocoPairs:
    """Images of a COCO file, whose masks are made when they are needed.

    Attributes:
        files: the image files.
        sizes: (height, width) of each, as the file says.
        annotations: of each image: its instances, or its one panoptic entry.
        values: mask value by category id.
        panoptic: the folder of the panoptic PNGs; None for instances.

    """

    files: tuple[Path, ...]
    sizes: tuple[tuple[int, int], ...]
    annotations: tuple[list[dict[str, Any]], ...]
    values: Mapping[int, int]
    panoptic: Path | None = None

    def __len__(self) -> int:
        return len(self.files)

    def title(self, index: int) -> str:
        """Return the image file's name."""
        return self.files[index].name

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) as the COCO file says."""
        return self.sizes[index]

    def read(self, index: int) -> tuple[Picture, ClassMask]:
        """Decode an image and draw its mask."""
        image = read_image(self.files[index])
        size = (image.height, image.width)
        if size != self.sizes[index]:
            raise InputError(
                f"{self.files[index]} is {image.width}×{image.height} pixels, and its annotations "
                f"are for {self.sizes[index][1]}×{self.sizes[index][0]}; get the right image"
            )
        entries, title = self.annotations[index], str(self.files[index])
        if self.panoptic is None:
            mask = draw_instances(entries, size, self.values, title)
        else:
            mask = read_panoptic(self.panoptic / entries[0]["file_name"], entries[0], self.values)
        if mask.shape != size:
            raise InputError(f"{title} and its panoptic mask have different sizes")
        return image_to_tensor(image), torch.from_numpy(mask)

    def fingerprint(self) -> str:
        """Return hexadecimal digits that follow from file names, sizes and annotations."""
        digest = sha256()
        for path, own in zip(self.files, self.annotations, strict=True):
            digest.update(json.dumps([path.name, own], sort_keys=True, default=str).encode())
        return digest.hexdigest()


def find_coco_masks(path: Path, split: str) -> Path | None:
    """Return the JSON file of a split's masks in a folder, or None.

    It is `annotations/instances_SPLIT….json` or `panoptic_SPLIT….json`, or Roboflow's
    `SPLIT/_annotations.coco.json`; a path to a JSON file is that file.
    """
    if path.suffix.lower() == ".json":
        return path
    for name in SPLIT_FOLDERS.get(split, (split,)):
        for pattern in (
            f"annotations/instances_{name}*.json",
            f"annotations/panoptic_{name}*.json",
            f"{name}/_annotations.coco.json",
        ):
            found = sorted(path.glob(pattern))
            if found:
                return found[0]
    return None


def load_coco_masks(path: str | Path, split: str = "train") -> SegmentationDataset:
    """Read COCO instances or panoptic segmentation as classes of pixels.

    Of instances, smaller ones lie on top of larger ones, crowds are void, and what belongs to
    none is the class `background`. Of panoptic segments, crowds and unlabelled pixels are void.

    Args:
        path: the JSON file, or a folder (see `find_coco_masks`).
        split: for a folder.

    Raises:
        InputError: there is no such file, it cannot be read, or none of its images are there.

    """
    path = Path(path).expanduser()
    file = find_coco_masks(path, split)
    if file is None:
        raise InputError(f"{path} holds no COCO annotations for the split {split!r}")
    content = _read_json(file)
    panoptic = any("segments_info" in each for each in content["annotations"][:1])
    if not content["annotations"]:
        raise InputError(f"{file} has no annotations, so that nothing is there but background")
    first = 0 if panoptic else 1
    categories = sorted(content["categories"], key=lambda each: each["id"])
    values = {each["id"]: first + place for place, each in enumerate(categories)}
    names = tuple(str(each["name"]) for each in categories)
    own: dict[Any, list[dict[str, Any]]] = {}
    for each in content["annotations"]:
        own.setdefault(each["image_id"], []).append(each)
    files, sizes, annotations, problems = [], [], [], []
    for image in content["images"]:
        found = _image_file(file, str(image["file_name"]), split)
        if found is None:
            problems.append(f"{image['file_name']}, which {file} names, is nowhere near it")
        elif panoptic and image["id"] not in own:
            problems.append(f"{image['file_name']} has no panoptic mask in {file}")
        else:
            files.append(found)
            sizes.append((int(image["height"]), int(image["width"])))
            annotations.append(own.get(image["id"], []))
    name = f"{path.parent.name if path.is_file() else path.name}/{split}"
    warn_left_out(name, problems, len(content["images"]))
    pairs = CocoPairs(
        tuple(files),
        tuple(sizes),
        tuple(annotations),
        values,
        file.with_suffix("") if panoptic else None,
    )
    classes = names if panoptic else (BACKGROUND, *names)
    return SegmentationDataset(pairs, classes, name, tuple(problems)).in_memory()


def draw_instances(
    entries: Sequence[Mapping[str, Any]],
    size: tuple[int, int],
    values: Mapping[int, int],
    title: str,
) -> NDArray[np.uint8]:
    """Return the mask (height, width) of an image's instances; 0 where there is none.

    Raises:
        InputError: an instance has an unknown category, or a shape that cannot be read.

    """
    shapes = []
    for entry in entries:
        if entry.get("category_id") not in values:
            raise InputError(f"{title}: category {entry.get('category_id')} is not in the file")
        inside = _instance(entry.get("segmentation"), size, title)
        value = VOID if entry.get("iscrowd") else values[entry["category_id"]]
        shapes.append((int(inside.sum()), value, inside))
    mask = np.zeros(size, np.uint8)
    for _, value, inside in sorted(shapes, key=lambda shape: -shape[0]):
        mask[inside] = value
    return mask


def _instance(shape: Any, size: tuple[int, int], title: str) -> NDArray[np.bool_]:
    if not shape:
        raise InputError(
            f"{title}: an instance has no segmentation; add it, or train a detector on the boxes"
        )
    try:
        if isinstance(shape, Mapping):
            return decode_run_length(
                shape["counts"], (int(shape["size"][0]), int(shape["size"][1]))
            )
        inside = np.zeros(size, bool)
        for polygon in shape:
            inside |= fill_polygon(np.array(polygon, float).reshape(-1, 2), size)
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{title}: an instance's segmentation cannot be read: {error}") from error
    return inside


def fill_polygon(points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels (height, width) have their middle inside of a polygon.

    The COCO API also takes some of the pixels that the outline crosses; areas differ by a
    fraction of the outline's length.

    Args:
        points: (point, 2), x and y; a pixel reaches from its index to the next whole number.
        size: (height, width).

    """
    inside = np.zeros(size, bool)
    if len(points) < 3:
        return inside
    left, top = np.clip(np.floor(points.min(0)).astype(int), 0, size[::-1])
    right, bottom = np.clip(np.ceil(points.max(0)).astype(int), 0, size[::-1])
    if right <= left or bottom <= top:
        return inside
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    middles = np.stack([x.ravel(), y.ravel()], 1)
    filled = Outline(points).contains_points(middles)
    inside[top:bottom, left:right] = filled.reshape(bottom - top, right - left)
    return inside


def read_panoptic(
    path: Path, entry: Mapping[str, Any], values: Mapping[int, int]
) -> NDArray[np.uint8]:
    """Return the mask of a panoptic PNG, whose colours are segment ids: R + 256 G + 256² B.

    Raises:
        InputError: the file cannot be read, or has a segment or category that nobody names.

    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path} is no panoptic mask that can be read: {error}") from error
    ids = pixels @ np.array([1, 256, 65536])
    mask = np.full(ids.shape, VOID, np.uint8)
    named = {0}
    for segment in entry["segments_info"]:
        if segment["category_id"] not in values:
            raise InputError(f"{path}: category {segment['category_id']} is not in the file")
        named.add(segment["id"])
        value = VOID if segment.get("iscrowd") else values[segment["category_id"]]
        mask[ids == segment["id"]] = value
    unknown = set(np.unique(ids).tolist()) - named
    if unknown:
        raise InputError(
            f"{path} has the segment {min(unknown)}, which its JSON file does not name"
        )
    return mask


def _read_json(file: Path) -> dict[str, Any]:
    """Read a COCO file and check that its parts are there."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{file} cannot be read as JSON: {error}") from error
    for part, keys in _WANTED.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise InputError(f"{file} is no COCO file: it has no list of {part}")
        for key, kind in keys.items():
            if any(key not in each for each in entries):
                raise InputError(f"{file} is damaged: one of its {part} has no {key!r}")
            wrong = next((each[key] for each in entries if not isinstance(each[key], kind)), None)
            if wrong is not None:
                raise InputError(f"{file} is damaged: one of its {part} has {key}={wrong!r}")
    return content


def _image_file(file: Path, name: str, split: str) -> Path | None:
    """Look for an image beside its COCO file, and where COCO and its kin keep images."""
    stem = file.stem.split("_", 1)[-1]
    root = file.parent.parent
    folders = (
        file.parent,
        root / stem,
        root / split,
        root / "images" / stem,
        root / "images",
        root,
    )
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
