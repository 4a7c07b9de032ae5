"""What is explained side by side is fixed by the data: the first image of each class."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from regard.compare import Study, examples
from regard.data import FolderDataset
from regard.data.detection_dataset import Boxes, DetectionDataset
from regard.data.segmentation_dataset import MemoryPairs, SegmentationDataset
from regard.models import Preprocessing, VisionModel

CLASSES = ("cat", "dog", "owl")


def boxes(*found):
    """Boxes of (label, left, top, right, bottom, ignored)."""
    corners = torch.tensor([one[1:5] for one in found]).reshape(-1, 4).float()
    ignored = torch.tensor([bool(one[5:]) for one in found], dtype=torch.bool)
    return Boxes(corners, torch.tensor([one[0] for one in found], dtype=torch.int64), ignored)


def model(height, width):
    preprocessing = Preprocessing((height, width), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return VisionModel(nn.Identity(), name="none", preprocessing=preprocessing)


def numbers(target):
    return [float(number) for number in target.split("@")[1].split(",")]


def test_a_detector_is_asked_about_a_true_box_of_middle_size(monkeypatch):
    truth = (
        boxes(),
        boxes((1, 0, 0, 30, 20), (1, 0, 0, 4, 4), (1, 2, 4, 12, 14), (2, 0, 0, 9, 9, True)),
        boxes((1, 0, 0, 5, 5), (2, 20, 10, 40, 20)),
    )
    shades = tuple(np.full((20, 40, 3), 10 * number, np.uint8) for number in range(3))
    images = DetectionDataset(shades, truth, CLASSES, "drawn")
    monkeypatch.setattr(examples, "open_detection", lambda data, split: images)
    dog, owl = examples.examples(Study("s", task="detect"))
    assert (dog.label, owl.label) == ("dog", "owl")
    assert (dog.image.getpixel((0, 0))[0], owl.image.getpixel((0, 0))[0]) == (10, 20)
    # Twice as large in the letterbox of 80×80, and 20 pixels lower.
    assert dog.target(model(80, 80)).startswith("dog@")
    assert numbers(dog.target(model(80, 80))) == pytest.approx([4, 28, 24, 48])
    assert numbers(owl.target(model(20, 40))) == pytest.approx([20, 10, 40, 20])


def test_a_broken_file_is_passed_over(monkeypatch, tmp_path):
    """A study of hours must not end for want of a picture."""
    broken, whole = tmp_path / "broken.png", tmp_path / "whole.png"
    broken.write_bytes(b"no picture")
    Image.fromarray(np.full((20, 40, 3), 7, np.uint8)).save(whole)
    truth = (boxes((1, 0, 0, 9, 9)), boxes((1, 0, 0, 5, 5)))
    images = DetectionDataset((broken, whole), truth, CLASSES, "drawn")
    monkeypatch.setattr(examples, "open_detection", lambda data, split: images)
    (dog,) = examples.examples(Study("s", task="detect"))
    assert dog.image.getpixel((0, 0))[0] == 7
    folder = FolderDataset((broken, whole), torch.tensor([1, 1]), CLASSES, "drawn")
    monkeypatch.setattr(examples, "open_dataset", lambda data, split: folder)
    (dog,) = examples.examples(Study("s"))
    assert (dog.label, dog.image.getpixel((0, 0))[0]) == ("dog", 7)


def test_a_segmenter_is_asked_about_masks_that_can_be_seen(monkeypatch):
    masks = torch.full((3, 20, 20), 255, dtype=torch.uint8)
    masks[0, :2, :1] = 2  # half a percent
    masks[1, :10] = 1
    masks[2, :10] = 2
    pictures = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 3, 20, 20)
    pairs = MemoryPairs(tuple(pictures.clone()), tuple(masks), ("a", "b", "c"))
    images = SegmentationDataset(pairs, CLASSES, "drawn")
    monkeypatch.setattr(examples, "open_segmentation", lambda data, split: images)
    dog, owl = examples.examples(Study("s", task="segment"))
    assert (dog.label, owl.label) == ("dog", "owl")
    assert (dog.image.getpixel((0, 0))[0], owl.image.getpixel((0, 0))[0]) == (1, 2)
    assert [one.target(model(20, 20)).name for one in (dog, owl)] == [1, 2]
