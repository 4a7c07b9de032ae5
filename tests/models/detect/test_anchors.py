"""Anchors, offsets and matching against their twins, and what must hold of them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.models import detection as twin

from regard.core.boxes import iou
from regard.core.errors import InputError
from regard.models.detect.anchors import cell_anchors, decode, encode, level_anchors
from regard.models.detect.matching import BACKGROUND, IGNORED, match


def boxes_of(seed, count, side=40.0):
    random = torch.Generator().manual_seed(seed)
    start = torch.rand(count, 2, generator=random, dtype=torch.float64) * side
    extent = torch.rand(count, 2, generator=random, dtype=torch.float64) * side + 1
    return torch.cat((start, start + extent), 1)


def test_anchors_of_a_level():
    ratios, scales = (0.5, 1.0, 2.0), (1.0, 1.5)
    ours = level_anchors(3, 4, 8, cell_anchors(20.0, ratios, scales))
    theirs = twin.anchors(3, 4, 8, 20.0, ratios, scales)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-6, atol=1e-5)


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_offsets_twin_and_inverse(seed):
    boxes, anchors = boxes_of(seed, 5), boxes_of(seed + 1, 5)
    found = encode(boxes, anchors)
    expected = [twin.offsets(*pair) for pair in zip(boxes.tolist(), anchors.tolist(), strict=True)]
    np.testing.assert_allclose(found.numpy(), np.array(expected), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(decode(found, anchors), boxes)


def test_a_wild_prediction_stays_finite():
    wild = torch.tensor([[0.0, 0.0, 1000.0, 1000.0]])
    anchor = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    assert decode(wild, anchor).isfinite().all()


@given(st.integers(0, 2**31), st.booleans(), st.integers(0, 4))
@settings(max_examples=40)
def test_matching_twin(seed, best, count):
    boxes, anchors = boxes_of(seed, count), boxes_of(seed + 1, 12)
    found = match(iou(boxes, anchors), low=0.2, high=0.4, best=best)
    expected = twin.match(boxes.tolist(), anchors.tolist(), 0.2, 0.4, best)
    assert found.tolist() == expected


def test_every_box_is_answered_for():
    """A small box in a large anchor overlaps it by less than the bounds."""
    boxes = torch.tensor([[10.0, 10.0, 14.0, 14.0]])
    anchors = torch.tensor([[0.0, 0.0, 32.0, 32.0], [40.0, 40.0, 72.0, 72.0]])
    overlap = iou(boxes, anchors)
    assert match(overlap, low=0.4, high=0.5).tolist() == [0, BACKGROUND]
    assert match(overlap, low=0.4, high=0.5, best=False).tolist() == [BACKGROUND, BACKGROUND]


def test_between_the_bounds_is_ignored():
    overlap = torch.tensor([[0.39, 0.4, 0.49, 0.5]])
    assert match(overlap, low=0.4, high=0.5, best=False).tolist() == [
        BACKGROUND,
        IGNORED,
        IGNORED,
        0,
    ]


def test_bounds_the_wrong_way_round():
    with pytest.raises(InputError, match=r"low=0.6 must not be above high=0.5"):
        match(torch.zeros(1, 1), low=0.6, high=0.5)
