"""Non-maximum suppression agrees with taking the best box again and again."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.core import boxes as twin

from regard.core import nms as module
from regard.core.errors import InputError
from regard.core.nms import batched_nms, nms


def some(seed, count):
    """Boxes on a coarse lattice with few scores: many ties and equal boxes."""
    random = torch.Generator().manual_seed(seed)
    start = torch.randint(0, 6, (count, 2), generator=random).float()
    extent = torch.randint(0, 5, (count, 2), generator=random).float()
    scores = torch.randint(0, 4, (count,), generator=random).float() / 4
    return torch.cat([start, start + extent], 1), scores, torch.arange(count) % 3


@given(st.integers(0, 2**31), st.integers(0, 30), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_twin(seed, count, threshold):
    boxes, scores, groups = some(seed, count)
    one = [0] * count
    for block in (1, 4, 1024):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_BLOCK", block)
            alone = nms(boxes, scores, threshold).tolist()
            grouped = batched_nms(boxes, scores, groups, threshold).tolist()
        assert alone == twin.nms(boxes.tolist(), scores.tolist(), one, threshold)
        expected = twin.nms(boxes.tolist(), scores.tolist(), groups.tolist(), threshold)
        assert grouped == expected


@given(st.integers(0, 2**31))
def test_compiled_operator_takes_the_same_way_out(seed):
    # Stands for torchvision's, which does not load beside every torch.
    def compiled(boxes, scores, threshold):
        kept = twin.nms(boxes.tolist(), scores.tolist(), [0] * len(boxes), threshold)
        return torch.tensor(kept, dtype=torch.int64)

    boxes, scores, groups = some(seed, 25)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compiled_operator", lambda name: None)
        ours = batched_nms(boxes, scores, groups, 0.4), nms(boxes, scores, 0.4)
        patch.setattr(module, "compiled_operator", lambda name: compiled)
        theirs = batched_nms(boxes, scores, groups, 0.4), nms(boxes, scores, 0.4)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_a_suppressed_box_suppresses_nothing():
    row = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    assert nms(row, torch.tensor([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_bad_input():
    boxes = torch.zeros(1, 4)
    with pytest.raises(InputError, match=r"threshold=1\.5"):
        nms(boxes, torch.ones(1), 1.5)
    with pytest.raises(InputError, match="score is NaN"):
        batched_nms(boxes, torch.tensor([float("nan")]), torch.zeros(1, dtype=torch.int64))
