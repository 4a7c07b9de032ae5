"""The whole-batch augmentation does to every image what the slow twin does to one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.core.errors import InputError
from regard.core.seeding import generator
from regard.data import Augment
from regard.data.augment import AlternatingFlip
from tests.reference.data.augment import alternating
from tests.reference.data.augment import augment as twin


def images_of(count, height, width, seed=0):
    return torch.randint(
        0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator(seed, 9)
    )


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(5, 9),
    width=st.integers(5, 9),
    padding=st.integers(0, 4),
    flip=st.booleans(),
    cutout=st.integers(0, 6),
    seed=st.integers(0, 1000),
)
def test_equals_the_slow_twin(height, width, padding, flip, cutout, seed):
    augment = Augment(crop_padding=padding, flip=flip, cutout=cutout)
    images = images_of(6, height, width, seed)
    draws = augment.draw(6, (height, width), generator(seed, 1))
    ours = augment.apply(images, draws)
    for index in range(6):
        expected = twin(images[index].numpy(), draws[index].tolist(), padding, cutout)
        np.testing.assert_array_equal(ours[index].numpy(), expected)


def test_draws_cover_their_range_evenly():
    draws = Augment(crop_padding=2, flip=True, cutout=4).draw(50_000, (6, 3), generator(0, 1))
    for column, values in zip(draws.T, (5, 5, 2, 6, 3), strict=True):
        share = column.bincount(minlength=values) / len(draws)
        assert len(share) == values
        torch.testing.assert_close(share, torch.full((values,), 1 / values), atol=0.01, rtol=0)


def test_off_means_unchanged():
    images = images_of(4, 8, 8)
    assert Augment(0, flip=False, cutout=0)(images, generator(0, 1)).equal(images)


def test_leaves_its_input_alone():
    images = images_of(4, 8, 8)
    before = images.clone()
    Augment(2, cutout=4)(images, generator(0, 1))
    Augment(0, flip=False, cutout=4)(images, generator(0, 1))
    assert images.equal(before)


def test_padding_that_reflection_cannot_reach():
    with pytest.raises(InputError, match=r"crop_padding=4 .* 4×9.* at most 3"):
        Augment(4)(images_of(2, 4, 9), generator(0, 1))


def test_flips_in_turns_equal_the_slow_twin():
    flip = AlternatingFlip(200, generator(3, 4))
    everyone = torch.arange(200)
    found = [flip(everyone, epoch).tolist() for epoch in range(5)]
    assert found == alternating(found[0], 5)
    assert 70 < sum(found[0]) < 130, "the first epoch's are random"
    assert flip(torch.tensor([7, 3]), 2).tolist() == [found[2][7], found[2][3]]
    assert AlternatingFlip(200, generator(4, 4))(everyone, 0).tolist() != found[0]


def test_flips_in_turns_are_given_and_not_drawn():
    augment = Augment(flip="alternating")
    given = torch.tensor([1, 0, 1])
    draws = augment.draw(3, (8, 8), generator(0, 1), given)
    assert draws[:, 2].equal(given)
    others = [0, 1, 3, 4]
    assert draws[:, others].equal(Augment().draw(3, (8, 8), generator(0, 1))[:, others])
    with pytest.raises(InputError, match="depend on image and epoch"):
        augment(images_of(2, 8, 8), generator(0, 1))
    with pytest.raises(InputError, match="flip='sometimes'"):
        Augment(flip="sometimes")


def test_negative_option():
    with pytest.raises(InputError, match="cutout=-1"):
        Augment(cutout=-1)
