"""Heads laid into the batch: the same numbers, elsewhere."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.operator_contract import check_operator, random

from regard.capture.operators import SoftmaxOperator
from regard.core.grid import Grid
from regard.core.heads_in_batch import HeadsInBatch


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=20)
def test_every_head_is_a_batch_entry(seed, batch, heads):
    generator = torch.Generator().manual_seed(seed)
    inner = SoftmaxOperator(*(random(generator, batch, heads, n, 3) for n in (4, 5)))
    operator = HeadsInBatch(inner)
    check_operator(operator, seed)
    for entry in range(batch):
        for head in range(heads):
            told = operator.dense()[entry * heads + head, 0]
            assert torch.equal(told, inner.dense()[entry, head])


def test_the_mean_distance_knows_groups_that_are_heads():
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(-1, 6, (6, 4), generator=generator).numpy()
    q, k = (random(generator, 4, 3, 4, 2) for _ in range(2))
    by_heads = Grid(2, 3, places=places, heads_are_groups=True)
    in_batch = Grid(2, 3, places=places)
    told = SoftmaxOperator(q, k).mean_distance(by_heads, by_heads, unit="cells")
    folded = SoftmaxOperator(q.flatten(0, 1)[:, None], k.flatten(0, 1)[:, None])
    expected = folded.mean_distance(in_batch, in_batch, unit="cells").reshape(4, 3, 4)
    assert torch.allclose(told, expected, equal_nan=True)


def test_a_grid_fits_as_many_windows_as_it_has():
    places = torch.zeros(6, 4, dtype=torch.long).numpy()
    in_batch, by_heads = (Grid(1, 4, places=places, heads_are_groups=h) for h in (False, True))
    assert in_batch.fits(12, 5, 4)
    assert not in_batch.fits(4, 3, 4)
    assert by_heads.fits(4, 3, 4)
    assert not by_heads.fits(4, 3, 5)
    assert in_batch != by_heads
