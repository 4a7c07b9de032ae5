"""Segmentation batches are a function of (seed, epoch, step), and masks move as images do."""

import pytest
import torch

from regard.core.errors import InputError
from regard.data.segmentation_augment import SegmentationAugment, cut_out, whole
from regard.data.segmentation_batches import SegmentationBatches, whole_images
from regard.data.segmentation_dataset import MemoryPairs, SegmentationDataset
from regard.data.segmentation_sources import open_segmentation, scenes_with_masks

AUGMENT = SegmentationAugment()


def dataset(count=10, size=(24, 32)):
    """Every image is blocks of 8 grey levels; its mask says which one: value · 32 + 16."""
    random = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 8, (count, size[0] // 8, size[1] // 8), generator=random).byte()
    masks = masks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    images = (masks * 32 + 16)[:, None].expand(-1, 3, -1, -1).contiguous()
    titles = tuple(map(str, range(count)))
    pairs = MemoryPairs(tuple(images), tuple(masks), titles)
    return SegmentationDataset(pairs, tuple("abcdefgh"), "blocks")


def same(first, second):
    return len(first) == len(second) and all(
        x.equal(a) and y.equal(b) for (x, y), (a, b) in zip(first, second, strict=True)
    )


def batches(**changes):
    given = {"size": (12, 16), "augment": AUGMENT, "seed": 3, **changes}
    return SegmentationBatches(dataset(), 4, **given)


def test_an_epoch_that_is_gone_on_with_is_bitwise_the_same():
    whole_epoch = list(batches().epoch(2))
    assert same(whole_epoch[1:], list(batches().epoch(2, start_step=1)))
    assert not same(whole_epoch, list(batches().epoch(1)))
    assert not same(whole_epoch, list(batches(seed=4).epoch(2)))


def test_workers_and_global_random_state_change_nothing():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    alone = list(batches().epoch(0))
    assert torch.get_rng_state().equal(before)
    assert same(alone, list(batches(workers=1).epoch(0)))


def test_ranks_share_out_the_same_batches():
    whole_epoch = list(batches().epoch(0))
    shared = [list(batches(rank=rank, ranks=2).epoch(0)) for rank in range(2)]
    for step, (images, masks) in enumerate(whole_epoch):
        for rank in range(2):
            assert torch.equal(shared[rank][step][0], images[rank::2])
            assert torch.equal(shared[rank][step][1], masks[rank::2])


def test_the_mask_moves_with_its_image():
    """Where no edge is near, the grey level under a pixel is that of its class."""
    augment = SegmentationAugment(scale=(0.7, 1.5), stretch=1.3, jitter=0.0)
    given = batches(augment=augment, size=(48, 64))
    seen = void = 0
    for images, masks in given.epoch(0):
        levels = images[:, 0] * 255
        expected = torch.where(masks == 255, 128.0, masks * 32.0 + 16)
        # At the blocks' edges the image blends two levels; a fifth of the pixels lies there.
        assert ((levels - expected).abs() < 1).float().mean() > 0.75
        inside = masks != 255
        assert ((levels - expected).abs()[inside] < 1).float().mean() > 0.75
        seen += inside.sum()
        void += (~inside).sum()
    assert seen > void > 0


def test_flips_happen_to_half_of_the_images_and_can_be_switched_off():
    only_flip = SegmentationAugment(scale=(1.0, 1.0), stretch=1.0, jitter=0.0)
    random = torch.Generator().manual_seed(0)
    drawn = [only_flip.window((24, 32), random) for _ in range(200)]
    assert all(window == pytest.approx((0, 0, 32, 24), abs=1e-4) for window, _ in drawn)
    assert 70 < sum(mirrored for _, mirrored in drawn) < 130
    never = SegmentationAugment(flip=False)
    assert not any(never.window((24, 32), random)[1] for _ in range(50))


def test_a_window_beyond_the_border_is_void_there_and_nowhere_else():
    image, mask = dataset().pairs.read(0)
    pixels, truth = cut_out(image, mask, (-16.0, 0.0, 32.0, 24.0), (24, 48))
    assert (truth[:, :16] == 255).all()
    assert (pixels[:, :, :16] == 128).all()
    assert torch.equal(truth[:, 16:], mask)
    assert torch.equal(pixels[:, :, 16:], image)


def test_a_mirrored_window_is_the_window_mirrored():
    image, mask = dataset().pairs.read(0)
    window = (3.0, 2.0, 27.0, 20.0)
    plain = cut_out(image, mask, window, (18, 24))
    turned = cut_out(image, mask, window, (18, 24), mirrored=True)
    assert all(torch.equal(a.flip(-1), b) for a, b in zip(plain, turned, strict=True))


def test_a_whole_window_at_its_own_size_changes_nothing():
    image, mask = dataset().pairs.read(0)
    pixels, truth = cut_out(image, mask, whole((24, 32)), (24, 32))
    assert torch.equal(pixels, image)
    assert torch.equal(truth, mask)


def test_colours_change_as_their_names_say():
    augment = SegmentationAugment(jitter=0.5)
    random = torch.Generator().manual_seed(0)
    images = 0.3 + 0.2 * torch.rand(1, 3, 6, 5, generator=random)
    middle = torch.tensor([[0.5, 0.5, 0.5]])
    torch.testing.assert_close(augment.colour(images, middle), images)
    brighter = augment.colour(images, torch.tensor([[1.0, 0.5, 0.5]]))
    torch.testing.assert_close(brighter, images * 1.5)
    flat = augment.colour(images, torch.tensor([[0.5, 0.0, 0.5]]))
    torch.testing.assert_close(flat.std(), images.std() * 0.5)
    pale = augment.colour(images, torch.tensor([[0.5, 0.5, 0.0]]))
    assert pale.std(1).mean() < 0.6 * images.std(1).mean()


def test_a_part_shows_things_at_the_scale_of_the_whole():
    """At scale 1 the parts of an image are its own pixels, wherever they lie."""
    plain = SegmentationAugment(scale=(1.0, 1.0), stretch=1.0, flip=False, jitter=0.0)
    given = batches(size=(24, 32), crop=(8, 16), augment=plain, shuffle=False)
    masks = torch.cat([masks for _, masks in given.epoch(0)])
    assert masks.shape == (10, 8, 16)
    for index, mask in enumerate(masks):
        truth = dataset().pairs.read(index)[1].long()
        parts = truth.unfold(0, 8, 1).unfold(1, 16, 1)
        assert (parts == mask).flatten(2).all(2).any()
    with pytest.raises(InputError, match="is no part of images"):
        batches(crop=(13, 16))
    with pytest.raises(InputError, match="needs an augmentation"):
        batches(crop=(6, 6), augment=None)


def test_whole_images_keep_their_own_size_for_measuring():
    pairs = MemoryPairs(
        (torch.zeros(3, 6, 8, dtype=torch.uint8), torch.zeros(3, 4, 4, dtype=torch.uint8)),
        (torch.zeros(6, 8, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8)),
        ("wide", "square"),
    )
    given = SegmentationDataset(pairs, ("a",), "two sizes")
    ((images, pictures, masks, titles),) = whole_images(given, 4, (3, 5))
    assert images.shape == (2, 3, 3, 5)
    assert [tuple(p.shape) for p in pictures] == [(3, 6, 8), (3, 4, 4)]
    assert [tuple(m.shape) for m in masks] == [(6, 8), (4, 4)]
    assert titles == ["wide", "square"]


class OneBroken:
    """The third pair cannot be read."""

    def __init__(self, pairs):
        self._pairs = pairs

    def __len__(self):
        return len(self._pairs)

    def title(self, index):
        return self._pairs.title(index)

    def size(self, index):
        return self._pairs.size(index)

    def read(self, index):
        if index == 2:
            raise InputError("pair 2 is broken")
        return self._pairs.read(index)

    def fingerprint(self):
        return self._pairs.fingerprint()


def test_a_broken_pair_is_left_out_of_its_batch_and_said_once(caplog):
    plain = dataset()
    broken = SegmentationDataset(OneBroken(plain.pairs), plain.classes, "broken")
    given = SegmentationBatches(broken, 4, size=(12, 16), shuffle=False)
    for _ in range(2):
        assert [len(images) for images, _ in given.epoch(0)] == [3, 4, 2]
    assert given.unreadable == {"2": "pair 2 is broken"}
    assert [r.getMessage() for r in caplog.records] == ["left out: pair 2 is broken"]
    alone = SegmentationBatches(broken.subset([2]), 1, size=(12, 16))
    with pytest.raises(InputError, match="no image of a whole batch can be used"):
        list(alone.epoch(0))


def test_scenes_have_the_target_s_mask_and_class():
    found = scenes_with_masks(6, size=32, seed=2)
    assert found.classes == ("background", "disc", "square", "triangle", "cross", "ring")
    for index in range(6):
        values = found.pairs.read(index)[1].unique().tolist()
        assert len(values) == 2
        assert values[0] == 0 < values[1] <= 5
    with pytest.raises(InputError, match="unknown split of the scenes"):
        open_segmentation("scenes", "valid")
    with pytest.raises(InputError, match="give scenes, or a path that exists"):
        open_segmentation("scene")


@pytest.mark.parametrize(
    "options", [{"scale": (0.0, 1.0)}, {"scale": (2.0, 1.0)}, {"stretch": 0.5}, {"jitter": 1.0}]
)
def test_augmentation_that_cannot_be_meant_is_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        SegmentationAugment(**options)


def test_fingerprints_follow_the_pixels():
    first, second = dataset(), dataset()
    assert first.fingerprint == second.fingerprint
    second.pairs.masks[3][0, 0] = 255
    assert first.fingerprint != second.fingerprint
    assert first.fingerprint != first.subset([1, 0]).fingerprint
    assert len(first.subset([4, 1])) == 2
    with pytest.raises(InputError, match="there is no image 10"):
        first.subset([10])
