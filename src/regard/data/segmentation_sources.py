"""From what the user wrote after `--data` to a segmentation set."""

from collections.abc import Mapping
from pathlib import Path

import torch

from regard.core.errors import InputError, unknown_name
from regard.data import scenes
from regard.data.coco_masks import find_coco_masks, load_coco_masks
from regard.data.mask_folder import has_mask_folders, load_mask_folder
from regard.data.segmentation_dataset import MemoryPairs, SegmentationDataset

SEGMENTATION_SOURCES: Mapping[str, str] = {
    "scenes": "synthetic scenes: the shape that decides the label, and its background",
    "PATH": "folders of images and masks, Pascal VOC, or COCO instances or panoptic",
}
"""What `open_segmentation` takes, and what it gives."""

# The number of scenes and the seed for each split: seeds of their own, so that a classifier
# trained on scenes has seen none of these.
_SCENES = {"train": (1_000, 11), "val": (200, 12), "test": (200, 13)}
_SIDE = 64
_SHAPES = ("disc", "square", "triangle", "cross", "ring")


def open_segmentation(spec: str | Path | None = None, split: str = "train") -> SegmentationDataset:
    """Open a split of a segmentation set.

    Args:
        spec: `scenes` (also the default, None), or a path, whose kind is recognised.
        split: `train`, `test` or, where there is one, `val`.

    Raises:
        InputError: no such data, or no such split.

    """
    if spec is None or spec == "scenes":
        if split not in _SCENES:
            raise unknown_name("split of the scenes", split, _SCENES)
        count, seed = _SCENES[split]
        return scenes_with_masks(count, size=_SIDE, seed=seed, name=f"scenes/{split}")
    path = Path(spec).expanduser()
    if not path.exists():
        raise InputError(f"no data {str(spec)!r}: give scenes, or a path that exists")
    # First, since COCO too has folders called images and annotations.
    if find_coco_masks(path, split) or find_coco_masks(path, "train"):
        return load_coco_masks(path, split)
    if path.is_dir() and has_mask_folders(path):
        return load_mask_folder(path, split)
    raise InputError(
        f"{path} holds no segmentation set that is known; give a folder with images/ and masks/, "
        "train/images and train/masks, or COCO's annotations/instances_train.json"
    )


def scenes_with_masks(
    count: int, *, size: int = _SIDE, seed: int = 0, name: str = "scenes"
) -> SegmentationDataset:
    """Return scenes as a segmentation set: background, and the shape of the textured target.

    What has a shape but no texture, or is a bar, is background.
    """
    drawn = scenes.make(count, size=size, classes=_SHAPES, seed=seed)
    masks = drawn.masks * (1 + drawn.labels[:, None, None])
    titles = tuple(f"scene {index}" for index in range(count))
    pairs = MemoryPairs(tuple(drawn.images), tuple(masks.to(torch.uint8)), titles)
    return SegmentationDataset(pairs, ("background", *_SHAPES), name)
