"""A batch is a function of (seed, epoch, step) alone: training can resume anywhere."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.core.errors import InputError
from regard.data import Augment, Batches, ImageDataset


def numbered(n):
    """Every pixel of image i is i."""
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, 6, 6)
    return ImageDataset(images.contiguous(), torch.arange(n) % 3, ("a", "b", "c"), "numbered")


def textured(n=23):
    images = torch.arange(n * 3 * 36).mul(37).remainder(251).byte().view(n, 3, 6, 6)
    return ImageDataset(images, torch.arange(n) % 3, ("a", "b", "c"), "textured")


def same(first, second):
    return len(first) == len(second) and all(
        x.equal(a) and y.equal(b) for (x, y), (a, b) in zip(first, second, strict=True)
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 6), st.integers(0, 50), st.integers(0, 3))
def test_resumed_epoch_is_bitwise_the_same(start, seed, epoch):
    def make():
        return Batches(textured(), 4, augment=Augment(2, cutout=2), seed=seed)

    whole = list(make().epoch(epoch))
    resumed = list(make().epoch(epoch, start_step=start))
    assert same(whole[start:], resumed)


def test_in_two_epochs_every_image_is_seen_both_ways():
    dataset = textured()
    batches = Batches(dataset, 4, augment=Augment(0, flip="alternating"), seed=5)

    def seen(epoch):
        images = torch.cat([images for images, _ in batches.epoch(epoch)])
        order = torch.cat([chosen for _, chosen in batches._steps(epoch)])
        return images[order.argsort()]

    original, epochs = dataset.images.float() / 255, [seen(epoch) for epoch in range(4)]
    kept = [(epoch == original).flatten(1).all(1) for epoch in epochs]
    assert 0 < int(kept[0].sum()) < len(dataset)
    for now, then in pairwise(epochs):
        assert now.flip(3).equal(then)
    resumed = torch.cat([images for images, _ in batches.epoch(3, start_step=2)])
    assert resumed.equal(torch.cat([images for images, _ in batches.epoch(3)])[8:])


def test_global_random_state_neither_matters_nor_changes():
    batches = Batches(textured(), 4, augment=Augment(2), seed=3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = list(batches.epoch(0))
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(2)
    assert same(first, list(batches.epoch(0)))


def test_epochs_seeds_and_steps_differ():
    dataset = textured()
    batches = Batches(dataset, 4, augment=Augment(2), seed=0)
    other = Batches(dataset, 4, augment=Augment(2), seed=1)
    assert not same(list(batches.epoch(0)), list(batches.epoch(1)))
    assert not same(list(batches.epoch(0)), list(other.epoch(0)))
    # Images alike, so that steps differ by their augmentation only.
    alike = dataset.subset([0] * 16)
    first, second = Batches(alike, 8, augment=Augment(2), seed=0).epoch(0)
    assert not first[0].equal(second[0])


@pytest.mark.parametrize(("shuffle", "drop_last"), [(True, False), (False, False), (True, True)])
def test_every_image_once_an_epoch_with_its_label(shuffle, drop_last):
    batches = Batches(numbered(10), 4, shuffle=shuffle, drop_last=drop_last)
    seen = list(batches.epoch(5))
    assert len(seen) == len(batches) == (2 if drop_last else 3)
    numbers = torch.cat([(x[:, 0, 0, 0] * 255).round().long() for x, _ in seen])
    labels = torch.cat([y for _, y in seen])
    assert labels.equal(numbers % 3)
    assert len(set(numbers.tolist())) == len(numbers) == (8 if drop_last else 10)
    assert (numbers.tolist() == list(range(10))) == (not shuffle)


def test_images_are_bytes_over_255():
    images, _ = next(Batches(textured(), 23, shuffle=False).epoch(0))
    assert images.dtype == torch.float32
    assert images.equal(textured().images.float() / 255)


def test_ranks_share_out_the_same_batches():
    options = {"augment": Augment(2, cutout=2), "seed": 4}
    whole = list(Batches(textured(), 4, **options).epoch(1))
    shares = [list(Batches(textured(), 4, **options, rank=r, ranks=2).epoch(1)) for r in (0, 1)]
    for step, (images, labels) in enumerate(whole):
        for rank in (0, 1):
            assert shares[rank][step][0].equal(images[rank::2])
            assert shares[rank][step][1].equal(labels[rank::2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 5, "ranks": 2}, "positive multiple of 2"),
        ({"batch_size": 4, "rank": 2, "ranks": 2}, "rank=2"),
        ({"batch_size": 24, "drop_last": True}, "only 23 images"),
    ],
)
def test_settings_that_make_no_batch(options, message):
    with pytest.raises(InputError, match=message):
        Batches(textured(), **options)


@pytest.mark.gpu
def test_the_same_batches_on_the_gpu():
    options = {"augment": Augment(2, cutout=2), "seed": 4}
    here = Batches(textured(), 4, **options).epoch(0)
    there = Batches(textured(), 4, **options, device="cuda").epoch(0)
    for (images, labels), (far_images, far_labels) in zip(here, there, strict=True):
        assert far_images.is_cuda
        torch.testing.assert_close(far_images.cpu(), images, atol=1e-6, rtol=0)
        assert far_labels.cpu().equal(labels)
