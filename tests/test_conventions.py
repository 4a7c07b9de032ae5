"""What docs/conventions.md promises."""

import numpy as np
import pytest
import torch
from torch import nn

import regard
from regard.core.grid import Grid
from regard.core.packages import require
from regard.core.seeding import derive_seed, generator, preserved_random_state, seeded
from regard.data import scenes
from regard.show.attention_overlay import overlay, overlay_scale


@pytest.fixture(scope="module")
def attending():
    with seeded(0):
        model = regard.attention.create("multi_head", 8, num_heads=2).eval()
        x = torch.randn(3, 8, 4, 6)
    with regard.capture(model) as seen, torch.no_grad():
        model(x)
    return next(iter(seen.values()))


def test_attention_is_batch_heads_query_key_and_rows_sum_to_one(attending):
    assert attending.operator.shape == (3, 2, 24, 24)
    dense = attending.operator.dense()
    assert dense.shape == (3, 2, 24, 24)
    torch.testing.assert_close(dense.sum(-1), torch.ones(3, 2, 24))


def test_tokens_are_in_reading_order_after_the_prefix():
    grid = Grid(rows=2, cols=3, prefix=1)
    assert [grid.position(token) for token in range(7)] == [
        None, (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2),
    ]  # fmt: skip
    assert all(grid.index(*grid.position(token)) == token for token in range(1, 7))
    laid_out = grid.to_map(torch.arange(7))
    assert laid_out.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("place", [(2, 0), (0, 3), (-1, 0)])
def test_a_cell_outside_the_grid_is_an_error(place):
    with pytest.raises(regard.InputError, match="outside the grid of 2×3 cells"):
        Grid(rows=2, cols=3).index(*place)


def test_values_that_do_not_fit_the_grid_are_an_error():
    with pytest.raises(regard.InputError, match="got 5 values for the 7 tokens"):
        Grid(rows=2, cols=3, prefix=1).to_map(torch.zeros(5))


def test_boxes_are_xyxy_in_pixels_exclusive_at_the_end():
    drawn = scenes.make(20, seed=0)
    for mask, (left, top, right, bottom) in zip(drawn.masks, drawn.boxes.tolist(), strict=True):
        rows, cols = mask.nonzero(as_tuple=True)
        assert (left, right) == (int(cols.min()), int(cols.max()) + 1)
        assert (top, bottom) == (int(rows.min()), int(rows.max()) + 1)


def test_the_scale_of_a_map_does_not_depend_on_its_values():
    flat = np.ones((4, 4))
    grey = np.random.default_rng(0).integers(0, 255, (8, 8, 1), dtype=np.uint8)
    picture = grey.repeat(3, axis=2)
    assert np.array_equal(overlay(picture, flat, overlay_scale(16)), picture)
    # Noise of one per cent about uniform moves no pixel by more than a few levels.
    noise = flat + np.random.default_rng(1).normal(0, 0.01, (4, 4))
    changed = overlay(picture, noise, overlay_scale(16)).astype(int) - picture
    assert np.abs(changed).max() <= 3


def test_a_strong_weight_is_drawn_strongly():
    weights = np.ones((4, 4))
    weights[1, 2] = 16
    picture = np.full((8, 8, 3), 128, np.uint8)
    drawn = overlay(picture, weights, overlay_scale(16)).astype(int)
    changed = np.abs(drawn - 128).sum(-1) > 100
    assert changed[2:4, 4:6].all()
    assert changed.sum() == 4


def test_seeds_of_neighbours_are_unrelated_and_repeatable():
    seeds = {derive_seed(seed, epoch) for seed in range(30) for epoch in range(30)}
    assert len(seeds) == 900
    assert len({derive_seed(1), derive_seed(1, 0), derive_seed(1, 0, 0)}) == 3
    assert torch.equal(
        torch.rand(3, generator=generator(1, 2)), torch.rand(3, generator=generator(1, 2))
    )


def test_random_state_is_restored_also_after_an_exception():
    import random

    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()

    def use_and_fail():
        with preserved_random_state():
            _ = torch.rand(1), np.random.rand(), random.random()
            raise KeyError

    with pytest.raises(KeyError):
        use_and_fail()
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_a_missing_package_is_one_line_with_the_command():
    with pytest.raises(regard.InputError, match=r"^nonesuch is not installed; run: pip install"):
        require("nonesuch", extra="zoo")


def test_capturing_nothing_is_an_error():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(regard.NothingCaptured), regard.capture(model):
        model(torch.zeros(1, 3, 8, 8))
