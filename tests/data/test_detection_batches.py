"""Batches hold every box where its pixels are, and follow from seed, epoch and place alone."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from regard.core.errors import InputError
from regard.core.seeding import RandomState
from regard.data.box_augment import BoxAugment, recolour
from regard.data.detection_batches import DetectionBatches
from regard.data.detection_dataset import Boxes, DetectionDataset
from regard.data.detection_scenes import make_detection_scenes
from regard.data.placement import letterbox, stretch

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def boxes(*corners, labels=None):
    count = len(corners)
    return Boxes(
        torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels or [0] * count, dtype=torch.int64),
        torch.zeros(count, dtype=torch.bool),
    )


def dataset(count=6, shape=(60, 80)):
    """Dark images with a bright rectangle each, of which the box is known."""
    random = np.random.default_rng(0)
    pictures, truth = [], []
    for index in range(count):
        top, left = random.integers(5, 25, 2)
        bottom, right = top + random.integers(14, 28), left + random.integers(14, 40)
        picture = np.zeros((*shape, 3), dtype=np.uint8)
        picture[top:bottom, left:right] = 255
        pictures.append(picture)
        truth.append(boxes((left, top, right, bottom), labels=[index % 2]))
    return DetectionDataset(tuple(pictures), tuple(truth), ("cell", "disc"), "drawn")


def lit(image):
    """Return the boxes around what is brighter than the padding, to half a pixel or so."""
    bright = image[0] > 0.6
    rows, cols = bright.any(1).nonzero().flatten(), bright.any(0).nonzero().flatten()
    return [int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1]


def all_of(batches, epoch=0, start=0):
    return [
        (image, truth)
        for images, truths in batches.epoch(epoch, start)
        for image, truth in zip(images, truths, strict=True)
    ]


def check_where_the_pixels_are(image, truth, tolerance=1.6):
    shown = torch.tensor([lit(image)]).float()
    assert (truth["boxes"] - shown).abs().max() <= tolerance


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_fitted(fit):
    batches = DetectionBatches(dataset(), 4, size=(64, 96), fit=fit, shuffle=False, workers=0)
    items = all_of(batches)
    assert len(items) == 6
    for image, truth in items:
        assert image.shape == (3, 64, 96)
        check_where_the_pixels_are(image, truth)
    assert [truth["labels"].item() for _, truth in items] == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    "augment",
    [
        BoxAugment(flip=True, flip_vertical=True, scale=(1.0, 1.0), **STILL),
        BoxAugment(scale=(0.5, 2.5), visible=0.1, **STILL),
    ],
    ids=["flips", "crops"],
)
def test_boxes_follow_the_pixels(augment):
    batches = DetectionBatches(dataset(), 6, size=96, augment=augment, workers=0)
    several = set()
    for epoch in range(4):
        for image, truth in all_of(batches, epoch):
            assert len(truth["boxes"]) == 1  # a crop without its box is drawn again
            check_where_the_pixels_are(image, truth)
            several.add(tuple(truth["boxes"].flatten().tolist()))
    assert len(several) > 8


def test_mosaic_boxes_follow_the_pixels():
    augment = BoxAugment(mosaic=1.0, visible=0.0, scale=(0.7, 1.2), **STILL)
    batches = DetectionBatches(dataset(), 6, size=128, augment=augment, workers=0)
    counts = []
    for epoch in range(3):
        for image, truth in all_of(batches, epoch):
            counts.append(len(truth["boxes"]))
            covered = torch.zeros(128, 128, dtype=torch.bool)
            for box in truth["boxes"]:
                left, top, right, bottom = box.round().int().tolist()
                inside = image[0, top + 2 : bottom - 2, left + 2 : right - 2]
                assert (inside > 0.6).all()
                covered[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = True
            # A pixel of height is no box any more, but may be seen.
            assert (image[0][~covered] > 0.6).sum() < 40
    assert max(counts) > 2
    assert BoxAugment(mosaic=1.0, mosaic_until=2).companions(6, 2, torch.Generator()) == []
    assert len(BoxAugment(mosaic=1.0, mosaic_until=2).companions(6, 1, torch.Generator())) == 3


def test_boxes_cut_to_a_small_part_are_dropped():
    # Scaled to four times the canvas, the box is never seen by half.
    augment = BoxAugment(scale=(4.0, 4.0), visible=0.9, flip=False, **STILL)
    wide = DetectionDataset(
        (np.zeros((60, 60, 3), dtype=np.uint8),), (boxes((10, 10, 50, 50)),), ("cell",), "one"
    )
    batches = DetectionBatches(wide, 1, size=60, augment=augment, workers=0)
    assert all(
        len(truth["boxes"]) == 0 for epoch in range(5) for _, truth in all_of(batches, epoch)
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_resumed_and_shared_batches_are_the_same(workers):
    augment = BoxAugment(mosaic=0.5)
    options = {"size": 64, "augment": augment, "seed": 3}
    before = RandomState.now()
    whole = all_of(DetectionBatches(dataset(), 2, workers=0, **options), epoch=1)
    resumed = all_of(DetectionBatches(dataset(), 2, workers=workers, **options), epoch=1, start=1)
    assert before.agrees_with(RandomState.now())
    ranks = [
        all_of(DetectionBatches(dataset(), 2, workers=0, rank=rank, ranks=2, **options), epoch=1)
        for rank in (0, 1)
    ]
    for (image, truth), (other, same) in zip(whole[2:], resumed, strict=True):
        assert torch.equal(image, other)
        assert torch.equal(truth["boxes"], same["boxes"])
    for (image, _), (other, _) in zip(whole, (ranks[i % 2][i // 2] for i in range(6)), strict=True):
        assert torch.equal(image, other)
    other = all_of(DetectionBatches(dataset(), 2, workers=0, **{**options, "seed": 4}), epoch=1)
    assert not torch.equal(whole[0][0], other[0][0])
    again = all_of(DetectionBatches(dataset(), 2, workers=0, **options), epoch=2)
    assert not torch.equal(whole[0][0], again[0][0])


def test_colour():
    still, random = BoxAugment(**STILL), torch.Generator().manual_seed(1)
    images = torch.rand(1, 3, 4, 5, generator=random)
    same = recolour(images, still.colour(random)[None])
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    # Half a turn of hue keeps luma; so does any saturation.
    luma = torch.tensor([0.299, 0.587, 0.114])
    turned = BoxAugment(**{**STILL, "hue": 0.5, "saturation": 0.9}).colour(random)
    assert not torch.allclose(turned[:, :3], torch.eye(3), atol=0.05)
    torch.testing.assert_close(luma @ turned[:, :3], luma, atol=1e-3, rtol=0)
    # A grey pixel has no hue; contrast keeps mid-grey.
    grey = torch.full((1, 3, 1, 1), 0.5)
    contrast = BoxAugment(**{**STILL, "hue": 0.5, "contrast": 0.9}).colour(random)
    torch.testing.assert_close(recolour(grey, contrast[None]), grey, atol=1e-3, rtol=0)
    brighter = BoxAugment(**{**STILL, "brightness": 0.5}).colour(random)
    ratio = recolour(grey / 2, brighter[None]) / (grey / 2)
    assert ratio.std() < 1e-3
    assert abs(ratio.mean().item() - 1) > 0.01


def test_placements_can_be_undone():
    corners = torch.tensor([[3.0, 4, 30, 40]])
    for placement in (letterbox((60, 80), (64, 64)), stretch((60, 80), (64, 96))):
        placed = placement.corners(corners, (60, 80))
        torch.testing.assert_close(placement.back(placed, (60, 80)), corners)
    assert letterbox((60, 80), (64, 64)).corners(corners, (60, 80)).tolist() == [
        pytest.approx([2.4, 11.2, 24, 40])
    ]


def test_ignored_boxes():
    data = dataset(1)
    data.truth[0].ignored[0] = True
    (_, training), *_ = all_of(DetectionBatches(data, 1, size=64, workers=0))
    assert set(training) == {"boxes", "labels"}
    assert len(training["boxes"]) == 0
    (_, truth), *_ = all_of(DetectionBatches(data, 1, size=64, workers=0, keep_ignored=True))
    assert truth["ignored"].tolist() == [True]
    assert data.counts == {"cell": 0, "disc": 0}


def test_broken_files_are_left_out(tmp_path, caplog):
    for name in "abc":
        Image.new("RGB", (20, 20)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:50])
    files = tuple(tmp_path / f"{name}.png" for name in "abc")
    data = DetectionDataset(files, tuple(boxes((1, 1, 9, 9)) for _ in files), ("cell",), "three")
    batches = DetectionBatches(data.in_memory(), 3, size=32, shuffle=False, workers=0)
    with caplog.at_level(logging.WARNING, "regard"):
        for _ in range(2):
            ((images, truth),) = batches.epoch(0)
    assert len(images) == len(truth) == 2
    assert list(batches.unreadable) == [str(files[1])]
    assert len(caplog.records) == 1
    alone = DetectionBatches(data.subset([1]), 1, size=32, workers=0)
    with pytest.raises(InputError, match=r"no image of a whole batch can be used: .*b\.png"):
        list(alone.epoch(0))


def test_scenes():
    data = make_detection_scenes(12, 64, seed=2)
    fewer = make_detection_scenes(5, 64, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(data.pictures, fewer.pictures, strict=False))
    counts = [len(truth) for truth in data.truth]
    assert min(counts) < max(counts) <= 4
    seen = torch.cat([truth.corners for truth in data.truth])
    assert (seen.min() >= 0) & (seen.max() <= 64)
    # Each box lies within one quarter, and what it holds differs from the scene without it.
    centre = (seen[:, :2] + seen[:, 2:]) / 2 // 32
    assert torch.equal(centre, seen[:, :2] // 32)
    with pytest.raises(InputError, match="size=40; give an even number, at least 48"):
        make_detection_scenes(1, 40)


def test_bad_input():
    with pytest.raises(InputError, match=r"scale=\(2\.0, 1\.0\)"):
        BoxAugment(scale=(2.0, 1.0))
    with pytest.raises(InputError, match=r"mosaic=1\.5"):
        BoxAugment(mosaic=1.5)
    with pytest.raises(InputError, match="size=0"):
        DetectionBatches(dataset(), 2, size=0)
    data = dataset(2)
    with pytest.raises(InputError, match="label 1 of 1 classes"):
        DetectionDataset(data.pictures, data.truth, ("cell",), "x")
    with pytest.raises(InputError, match="there is no image 5"):
        data.subset([5])
