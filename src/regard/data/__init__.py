"""Data sets, each from one source, and the batches made of them.

What reads archives and parquet imports slow packages, so it is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from regard.data import scenes
from regard.data.augment import Augment
from regard.data.batches import Batches
from regard.data.dataset import ImageDataset
from regard.data.image_file import decode_image, image_to_tensor, read_image
from regard.data.scenes import Scenes

if TYPE_CHECKING:
    from regard.data.box_augment import BoxAugment
    from regard.data.cifar10 import load_cifar10
    from regard.data.detection_batches import DetectionBatches
    from regard.data.detection_dataset import DetectionDataset
    from regard.data.detection_sources import open_detection
    from regard.data.folder_batches import FolderBatches
    from regard.data.image_batches import make_batches
    from regard.data.image_folder import FolderDataset, load_image_folder
    from regard.data.parquet import load_parquet
    from regard.data.resized_crop import ResizedCrop
    from regard.data.sources import SOURCES, open_dataset

_LAZY = {
    "BoxAugment": "box_augment",
    "DetectionBatches": "detection_batches",
    "DetectionDataset": "detection_dataset",
    "FolderBatches": "folder_batches",
    "FolderDataset": "image_folder",
    "ResizedCrop": "resized_crop",
    "SOURCES": "sources",
    "load_cifar10": "cifar10",
    "load_image_folder": "image_folder",
    "load_parquet": "parquet",
    "make_batches": "image_batches",
    "open_dataset": "sources",
    "open_detection": "detection_sources",
}

__all__ = [
    "SOURCES",
    "Augment",
    "Batches",
    "BoxAugment",
    "DetectionBatches",
    "DetectionDataset",
    "FolderBatches",
    "FolderDataset",
    "ImageDataset",
    "ResizedCrop",
    "Scenes",
    "decode_image",
    "image_to_tensor",
    "load_cifar10",
    "load_image_folder",
    "load_parquet",
    "make_batches",
    "open_dataset",
    "open_detection",
    "read_image",
    "scenes",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
