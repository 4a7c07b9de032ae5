"""Your own images and masks: two folders whose files have the same names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from regard.core.errors import InputError, unknown_name
from regard.core.labels import VOID
from regard.data.class_list import FILES, ClassList, find_class_list
from regard.data.image_file import image_to_tensor, read_image
from regard.data.image_folder import SPLIT_FOLDERS, is_image_name
from regard.data.left_out import warn_left_out
from regard.data.mask_file import MaskReader, open_mask
from regard.data.segmentation_dataset import ClassMask, Picture, SegmentationDataset

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "photos", "JPEGImages")
MASK_FOLDERS = (
    *("masks", "mask", "labels", "label", "annotations", "annot", "gt"),
    *("segmentation", "SegmentationClass"),
)
_MASK_ENDINGS = ("", "_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_L", "_annot")
_LISTS = Path("ImageSets/Segmentation")

_VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)

Places = tuple[Path, Path]
"""A folder of images and its folder of masks."""


@dataclass(frozen=True, eq=False)
class FilePairs:
    """Image files and mask files, read when they are needed.

    Attributes:
        images: the image files.
        masks: the mask file of each.
        reader: turns a mask file into class indices.

    """

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    reader: MaskReader

    def __len__(self) -> int:
        return len(self.images)

    def title(self, index: int) -> str:
        """Return the image file's name."""
        return self.images[index].name

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) from the file's header; (0, 0) where that cannot be read."""
        return header_size(self.images[index])

    def read(self, index: int) -> tuple[Picture, ClassMask]:
        """Decode an image and its mask."""
        image = read_image(self.images[index])
        mask = self.reader(self.masks[index], (image.height, image.width))
        return image_to_tensor(image), mask

    def fingerprint(self) -> str:
        """Return hexadecimal digits that follow from the names and sizes of all files."""
        digest = sha256()
        for path in (*self.images, *self.masks):
            size = path.stat().st_size if path.exists() else -1
            digest.update(repr((path.name, size)).encode())
        return digest.hexdigest()


def header_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an image file from its header; (0, 0) where that is unreadable."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0, 0


def has_mask_folders(folder: Path) -> bool:
    """Return whether a folder holds images and masks in one of the known layouts."""
    return bool(_split_places(folder) or _places_in(folder))


def load_mask_folder(folder: str | Path, split: str = "train") -> SegmentationDataset:
    """Find the images and masks of a split.

    Layouts: `SPLIT/images` and `SPLIT/masks`; `images/SPLIT` and `masks/SPLIT`; `SPLIT` and
    `SPLIT_labels`, `SPLIT_masks` or `SPLITannot`; `images` and `masks` without splits; and
    Pascal VOC's, with its lists of splits. Masks have their image's name, perhaps with `_mask`,
    `_label` or the like behind it. Classes are in `classes.txt` or a file like it; without one,
    they are the values that occur.

    Args:
        folder: where the data lie.
        split: `train`, `val` or `test`; without splits in the data, `train` is everything.

    Raises:
        InputError: no such layout, no such split, no image with a mask, or the list of classes
            cannot be understood.

    """
    folder = Path(folder).expanduser()
    splits = _split_places(folder)
    whole = _places_in(folder)
    lists = folder / _LISTS
    if splits:
        if split not in splits:
            raise unknown_name(f"split of {folder}", split, splits)
        images, masks = splits[split]
    elif whole and lists.is_dir():
        images, masks = whole
    elif whole:
        if split not in ("train", "all"):
            raise InputError(
                f"{folder} is not divided into splits, so it has no {split!r}; put images and "
                "masks into train/ and test/ folders"
            )
        images, masks = whole
    else:
        raise InputError(f"{folder} holds no images with masks; give images/ and masks/ folders")
    files = _listed(images, lists, split) if lists.is_dir() else _pictures(images)
    classes = find_class_list(list(dict.fromkeys((folder, images.parent, images.parent.parent))))
    if classes is None:
        # The classes of all splits, so that they are the same in each.
        classes = _occurring([place for _, place in splits.values()] or [masks])
    return _paired(files, images, masks, f"{folder.name}/{split}", MaskReader(classes))


def _split_places(folder: Path) -> dict[str, Places]:
    """Return the images and masks of each split; empty where there is none to train on."""
    found = {}
    for split, names in SPLIT_FOLDERS.items():
        for name in names:
            places = _places_in(folder / name) or _crossed(folder, name) or _beside(folder, name)
            if places:
                found[split] = places
    return found if "train" in found else {}


def _places_in(folder: Path) -> Places | None:
    """Return `images` and `masks` in a folder."""
    images = _first_folder(folder, IMAGE_FOLDERS)
    masks = _first_folder(folder, MASK_FOLDERS)
    return (images, masks) if images and masks else None


def _crossed(folder: Path, split: str) -> Places | None:
    """Return `images/SPLIT` and `masks/SPLIT`."""
    places = _places_in(folder)
    if places is None or not all((place / split).is_dir() for place in places):
        return None
    return places[0] / split, places[1] / split


def _beside(folder: Path, split: str) -> Places | None:
    """Return `SPLIT` and `SPLIT_labels` or the like."""
    masks = _first_folder(
        folder, [f"{split}{joint}{name}" for name in MASK_FOLDERS for joint in ("_", "")]
    )
    return (folder / split, masks) if masks and (folder / split).is_dir() else None


def _first_folder(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _pictures(folder: Path) -> list[Path]:
    return sorted(filter(is_image_name, folder.rglob("*")))


def _listed(images: Path, lists: Path, split: str) -> list[Path]:
    """Return the images that a list of Pascal VOC names."""
    path = lists / f"{split}.txt"
    if not path.is_file():
        raise unknown_name(f"split of {lists}", split, [each.stem for each in lists.glob("*.txt")])
    names = path.read_text(encoding="utf-8").split()
    return [images / f"{name}.jpg" for name in names]


def _paired(
    files: Sequence[Path], images: Path, masks: Path, name: str, reader: MaskReader
) -> SegmentationDataset:
    """Give every image its mask; report those that have none."""
    by_stem = {path.relative_to(masks).with_suffix(""): path for path in _pictures(masks)}
    pairs, problems = [], []
    for file in files:
        stem = file.relative_to(images).with_suffix("")
        candidates = (stem.with_name(f"{stem.name}{ending}") for ending in _MASK_ENDINGS)
        mask = next((by_stem[each] for each in candidates if each in by_stem), None)
        if mask is None:
            problems.append(f"{file} has no mask in {masks}; add one with its name")
        else:
            pairs.append((file, mask))
    if not pairs:
        reason = problems[0] if problems else f"{images} holds no images"
        raise InputError(f"{name} has no image with a mask: {reason}")
    warn_left_out(name, problems, len(files))
    found, theirs = (tuple(each) for each in zip(*pairs, strict=True))
    pairs = FilePairs(found, theirs, reader)
    return SegmentationDataset(pairs, reader.classes.names, name, tuple(problems)).in_memory()


def _occurring(folders: Sequence[Path]) -> ClassList:
    """Return the values that occur in indexed masks as classes, where no file names them."""
    if folders[0].name == "SegmentationClass":
        return ClassList(_VOC_CLASSES, tuple(range(len(_VOC_CLASSES))))
    occurring: set[int] = set()
    for path in (path for folder in folders for path in _pictures(folder)):
        try:
            image = open_mask(path)
        except InputError:
            continue  # reported when the pair is read
        pixels = np.asarray(image)
        if image.mode == "RGB":
            if not (pixels == pixels[..., :1]).all():
                raise InputError(
                    f"{path} is coloured, and no file says which colour is which class; write "
                    f"{folders[0].parent / FILES[0]}: NAME R G B, one a line"
                )
            pixels = pixels[..., 0]
        occurring.update(np.unique(pixels).tolist())
    if occurring == {0, VOID}:  # black and white
        return ClassList(("background", "foreground"), (0, VOID))
    real = sorted(occurring - {VOID})
    if not real or not 0 <= real[0] <= real[-1] < VOID:
        raise InputError(
            f"masks in {folders[0]} have the values {real[:3]} …, and no file says what they stand "
            f"for; write {folders[0].parent / FILES[0]}: INDEX NAME, one a line"
        )
    values = tuple(range(real[-1] + 1))
    return ClassList(tuple(map(str, values)), values)
