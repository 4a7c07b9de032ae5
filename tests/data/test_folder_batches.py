"""Streamed batches: the same for any number of workers, and from any step."""

import logging
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.data import Augment, FolderBatches, FolderDataset, ResizedCrop
from regard.data.resized_crop import central_square


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Ten images of ten sizes; the red of image i is 20 i everywhere, the rest a gradient."""
    folder = tmp_path_factory.mktemp("files")
    gradient = Image.linear_gradient("L")
    paths = []
    for index in range(10):
        size = (20 + 3 * index, 44 - 2 * index)
        red = Image.new("L", size, 20 * index)
        channels = (red, gradient.resize(size), gradient.rotate(90).resize(size))
        paths.append(folder / f"{index}.png")
        Image.merge("RGB", channels).save(paths[-1])
    return FolderDataset(tuple(paths), torch.arange(10) % 2, ("even", "odd"), "files")


def batches_of(files, **changes):
    options = {"image_size": 16, "crop": ResizedCrop(), "augment": Augment(0), "workers": 0}
    return FolderBatches(files, 4, **(options | changes))


def same(first, second):
    return len(first) == len(second) and all(
        x.equal(a) and y.equal(b) for (x, y), (a, b) in zip(first, second, strict=True)
    )


def numbers(batches):
    """Return which images a list of batches holds."""
    return torch.cat([(x[:, 0].mean((1, 2)) * 255 / 20).round().long() for x, _ in batches])


def test_in_two_epochs_every_image_is_seen_both_ways(files):
    batches = batches_of(files, crop=None, augment=Augment(0, flip="alternating"), seed=5)

    def seen(epoch):
        both = list(batches.epoch(epoch))
        return torch.cat([images for images, _ in both])[numbers(both).argsort()]

    plain = batches_of(files, crop=None, augment=None)
    original = list(plain.epoch(0))
    original = torch.cat([x for x, _ in original])[numbers(original).argsort()]
    first, second = seen(0), seen(1)
    kept = (first == original).flatten(1).all(1)
    assert 0 < int(kept.sum()) < len(files)
    assert first.flip(3).equal(second)


def test_every_image_once_with_its_label(files):
    seen = list(batches_of(files).epoch(3))
    assert [len(y) for _, y in seen] == [4, 4, 2]
    assert sorted(numbers(seen).tolist()) == list(range(10))
    assert numbers(seen).tolist() != list(range(10))
    assert torch.cat([y for _, y in seen]).equal(numbers(seen) % 2)
    assert seen[0][0].shape == (4, 3, 16, 16)
    assert len(batches_of(files)) == 3
    assert len(batches_of(files, drop_last=True)) == len(
        list(batches_of(files, drop_last=True).epoch(0))
    )


@pytest.mark.parametrize("start", [0, 1, 3])
def test_resumed_epoch_is_the_same(files, start):
    whole = list(batches_of(files, seed=7).epoch(2))
    assert same(whole[start:], list(batches_of(files, seed=7).epoch(2, start_step=start)))


def test_workers_change_nothing_and_outlive_an_abandoned_epoch(files):
    alone = batches_of(files)
    shared = batches_of(files, workers=2)
    first = shared.epoch(0)
    next(first)
    first.close()
    assert same(list(alone.epoch(1)), list(shared.epoch(1)))
    assert same(list(alone.epoch(0)), list(shared.epoch(0)))


def test_what_goes_to_a_worker_can_be_pickled(files):
    batches = batches_of(files)
    sent = pickle.loads(pickle.dumps(batches._read.loader.dataset))  # noqa: S301
    assert sent[(0, 3)][0].equal(batches._read.loader.dataset[(0, 3)][0])


@pytest.mark.slow
def test_spawned_workers(files):
    batches = batches_of(files, workers=1)
    batches._read.loader.multiprocessing_context = "spawn"
    assert same(list(batches_of(files).epoch(0)), list(batches.epoch(0)))


def test_epochs_and_seeds_differ(files):
    first = list(batches_of(files).epoch(0))
    assert not same(first, list(batches_of(files).epoch(1)))
    assert not same(first, list(batches_of(files, seed=1).epoch(0)))
    # The same image again: another epoch is another crop.
    alike = files.subset([5])
    crops = [next(batches_of(alike, augment=None).epoch(index))[0] for index in (0, 1)]
    assert not crops[0].equal(crops[1])


def test_images_and_steps_differ(files):
    alike = files.subset([5] * 8)
    images, _ = next(batches_of(alike, augment=None).epoch(0))
    assert not images[0].equal(images[1]), "each image has its own crop"
    first, second = batches_of(alike, crop=None, augment=Augment(3)).epoch(0)
    assert not first[0].equal(second[0]), "each step has its own augmentation"


def test_global_random_state_stays(files):
    before = torch.get_rng_state()
    list(batches_of(files).epoch(0))
    assert torch.get_rng_state().equal(before)


def test_ranks_share_out_the_same_batches(files):
    whole = list(batches_of(files).epoch(1))
    for rank in (0, 1):
        share = list(batches_of(files, rank=rank, ranks=2).epoch(1))
        for (images, labels), (x, y) in zip(whole, share, strict=True):
            assert x.equal(images[rank::2])
            assert y.equal(labels[rank::2])


def test_for_evaluation_in_order_and_undistorted(files):
    seen = list(batches_of(files, crop=None, augment=None, shuffle=False).epoch(0))
    assert numbers(seen).tolist() == list(range(10))
    # Image 0 is 20×44: of its vertical gradient the middle 20 rows remain.
    green = seen[0][0][0, 1].mean(1) * 255
    assert green[0] == pytest.approx(255 * 12 / 44, abs=8)
    assert green[-1] == pytest.approx(255 * 32 / 44, abs=8)


def test_a_broken_file_is_left_out_and_reported_once(files, tmp_path, caplog):
    broken = tmp_path / "broken.png"
    broken.write_bytes(files.files[2].read_bytes()[:60])
    mixed = FolderDataset(
        (*files.files[:2], broken, *files.files[3:]), files.labels, files.classes, "mixed"
    )
    whole = list(batches_of(files, shuffle=False).epoch(0))
    batches = batches_of(mixed, shuffle=False)
    with caplog.at_level(logging.WARNING, "regard"):
        seen = list(batches.epoch(0))
        list(batches.epoch(1))
    assert numbers(seen).tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert seen[0][0].equal(whole[0][0][[0, 1, 3]]), "the others are augmented as before"
    assert seen[0][1].tolist() == [0, 1, 1]
    assert list(batches.unreadable) == [broken]
    assert caplog.text.count("broken.png") == 1


def test_a_batch_of_broken_files_ends_it(tmp_path):
    gone = FolderDataset((tmp_path / "a.png",) * 4, torch.arange(4) % 2, ("a", "b"), "gone")
    with pytest.raises(InputError, match=r"no image of a whole batch can be used.*does not exist"):
        next(batches_of(gone).epoch(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"image_size": 0}, "image_size=0"), ({"rank": 1}, "rank=1"), ({"ranks": 3}, "multiple of 3")],
)
def test_wrong_settings(files, changes, message):
    with pytest.raises(InputError, match=message):
        batches_of(files, **changes)


# --- the crop ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 10_000))
def test_crop_is_inside_and_as_asked(width, height, seed):
    crop = ResizedCrop(scale=(0.2, 0.6), ratio=(0.5, 2.0))
    left, top, right, bottom = box = crop.box(width, height, generator(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    if box == central_square(width, height):
        return
    # Rounding to whole pixels moves each side by half of one.
    across, down = right - left, bottom - top
    assert (across - 0.5) * (down - 0.5) <= 0.6 * width * height
    assert (across + 0.5) * (down + 0.5) >= 0.2 * width * height
    assert (across - 0.5) / (down + 0.5) <= 2
    assert (across + 0.5) / (down - 0.5) >= 0.5


def test_crops_reach_every_corner():
    crop = ResizedCrop(scale=(0.2, 0.3))
    boxes = [crop.box(40, 30, generator(seed)) for seed in range(500)]
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    assert (min(lefts), min(tops), max(rights), max(bottoms)) == (0, 0, 40, 30)


@pytest.mark.parametrize(
    "options", [{"scale": (0.0, 1.0)}, {"scale": (0.5, 0.2)}, {"ratio": (2.0, 1.0)}]
)
def test_wrong_ranges(options):
    with pytest.raises(InputError, match="give"):
        ResizedCrop(**options)
