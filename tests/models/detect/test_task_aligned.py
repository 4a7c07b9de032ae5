"""The assignment of TOOD and the distribution focal loss, against twins from their papers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.models import detection as twin

from regard.core.errors import InputError
from regard.models.detect.anchors import cell_centres
from regard.models.detect.distribution import distribution_focal_loss, expected
from regard.models.detect.task_aligned import assign


def scene(seed, boxes, side=32, stride=8):
    """Random scores and predictions of 4 × 4 cells, and boxes that overlap each other."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=random, dtype=torch.float64)

    centres = cell_centres(side // stride, side // stride, stride).double()
    reach = draw(len(centres), 4) * 16 + 1
    predicted = torch.cat((centres - reach[:, :2], centres + reach[:, 2:]), 1)
    start = draw(boxes, 2) * 16
    truth = torch.cat((start, start + draw(boxes, 2) * 20 + 4), 1)
    labels = (draw(boxes) * 3).long()
    return draw(len(centres), 3), predicted, centres, truth, labels


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 6))
@settings(max_examples=40)
def test_twin(seed, boxes, most):
    scores, predicted, centres, truth, labels = scene(seed, boxes)
    found = assign(scores, predicted, centres, truth, labels, most=most, alpha=1.0, beta=6.0)
    owners, targets = twin.assign(
        *(each.tolist() for each in (scores, predicted, centres, truth, labels)), most, 1.0, 6.0
    )
    assert found.positive.tolist() == [owner is not None for owner in owners]
    assert found.box.tolist() == [owner or 0 for owner in owners]
    np.testing.assert_allclose(found.target.numpy(), np.array(targets), rtol=1e-9, atol=1e-12)


def test_the_best_cell_is_to_say_its_overlap():
    scores, predicted, centres, truth, labels = scene(1, 1)
    found = assign(scores, predicted, centres, truth, labels)
    assert found.positive.any()
    best = max(twin.overlap(truth[0].tolist(), box) for box in predicted[found.positive].tolist())
    assert float(found.target.max()) == pytest.approx(best)


def test_cells_are_assigned_also_while_nothing_overlaps():
    """At the start all alignments may be 0; the cells inside must still learn the box."""
    scores, _, centres, truth, labels = scene(0, 1)
    nowhere = torch.zeros(len(centres), 4, dtype=torch.float64)
    found = assign(scores, nowhere, centres, truth, labels, most=2)
    inside = (centres > truth[0, :2]).all(1) & (centres < truth[0, 2:]).all(1)
    assert inside.sum() >= 2
    assert found.positive.sum() == 2
    assert not (found.positive & ~inside).any()


def test_an_image_without_boxes():
    scores, predicted, centres, truth, labels = scene(0, 0)
    found = assign(scores, predicted, centres, truth, labels)
    assert not found.positive.any()
    assert not found.target.any()


def test_no_cells_a_box_is_refused():
    with pytest.raises(InputError, match="most is 0"):
        assign(*scene(0, 1), most=0)


@given(st.integers(0, 2**31), st.floats(0, 6.98))
@settings(max_examples=30)
def test_distribution_twin(seed, y):
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 8, generator=random, dtype=torch.float64)
    found = distribution_focal_loss(logits, torch.tensor([y], dtype=torch.float64))
    assert float(found) == pytest.approx(twin.distribution_focal_loss(logits[0].tolist(), y))


def test_the_loss_is_least_where_the_mean_is_the_target():
    logits = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([2.3], dtype=torch.float64)
    optimizer = torch.optim.LBFGS([logits], max_iter=200)

    def closure():
        optimizer.zero_grad()
        loss = distribution_focal_loss(logits, target).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert float(expected(logits.detach())) == pytest.approx(2.3, abs=1e-2)


def test_a_distance_beyond_the_last_counts_as_the_last():
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    far = distribution_focal_loss(logits, torch.tensor([30.0, -3.0]))
    near = distribution_focal_loss(logits, torch.tensor([2.99, 0.0]))
    torch.testing.assert_close(far, near)
