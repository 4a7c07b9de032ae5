"""Box operators agree with plain Python, and keep what geometry says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.core import boxes as twin

from regard.core import boxes as ours


def some(seed, count, side=20.0):
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=random, dtype=torch.float64) * side
    start, end = corners.amin(1), corners.amax(1)
    return torch.cat([start, end + 0.1], 1)


@given(st.integers(0, 2**31))
def test_pairwise_twin(seed):
    a, b = some(seed, 4), some(seed + 1, 3)
    expected = [[twin.iou(x, y) for y in b.tolist()] for x in a.tolist()]
    torch.testing.assert_close(ours.iou(a, b), torch.tensor(expected, dtype=torch.float64))
    areas = torch.tensor([twin.area(x) for x in a.tolist()], dtype=torch.float64)
    torch.testing.assert_close(ours.area(a), areas)


@pytest.mark.parametrize("name", ["giou", "diou", "ciou"])
@given(seed=st.integers(0, 2**31))
def test_aligned_twin(name, seed):
    a, b = some(seed, 5), some(seed + 1, 5)
    expected = [getattr(twin, name)(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    found = getattr(ours, name)(a, b)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    moved, grown = getattr(ours, name)(a + 7, b + 7), getattr(ours, name)(a * 3, b * 3)
    torch.testing.assert_close(moved, found)
    torch.testing.assert_close(grown, found)
    torch.testing.assert_close(getattr(ours, name)(a, a), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("name", ["giou", "diou", "ciou"])
def test_gradient_draws_apart_boxes_together(name):
    # Plain IoU is flat here; this is what these were made for.
    box = torch.tensor([[0.0, 0, 2, 2]], requires_grad=True)
    value = getattr(ours, name)(box, torch.tensor([[5.0, 5, 7, 7]]))
    value.sum().backward()
    assert value.item() < 0
    assert (box.grad[0, 2:] > 0).all()


def test_weight_of_ciou_is_a_constant_for_the_gradient():
    a, b = some(3, 1), some(4, 1)
    step = 1e-6

    def frozen(box, weight):
        shape = [torch.atan((x[:, 2] - x[:, 0]) / (x[:, 3] - x[:, 1])) for x in (box, b)]
        return ours.diou(box, b) - weight * 4 / torch.pi**2 * (shape[1] - shape[0]) ** 2

    shape = [torch.atan((x[:, 2] - x[:, 0]) / (x[:, 3] - x[:, 1])) for x in (a, b)]
    v = 4 / torch.pi**2 * (shape[1] - shape[0]) ** 2
    weight = v / (1 - ours.aligned_iou(a, b) + v)
    variable = a.clone().requires_grad_()
    ours.ciou(variable, b).sum().backward()
    for side in range(4):
        moved = step * torch.eye(4, dtype=torch.float64)[side]
        slope = (frozen(a + moved, weight) - frozen(a - moved, weight)) / (2 * step)
        assert variable.grad[0, side].item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", ["aligned_iou", "giou", "diou", "ciou"])
def test_boxes_without_area_are_finite(name):
    points = torch.tensor([[3.0, 3, 3, 3], [5.0, 5, 1, 1]], requires_grad=True)
    value = getattr(ours, name)(points, points.detach())
    value.sum().backward()
    assert value.isfinite().all()
    assert points.grad.isfinite().all()
    assert ours.iou(points, points).eq(0).all()


def test_half_precision_does_not_overflow():
    big = torch.tensor([[0.0, 0, 1000, 1000]], dtype=torch.float16)
    assert ours.iou(big, big).item() == 1.0


def test_clip_and_forms():
    boxes = torch.tensor([[-3.0, -1, 50, 8], [2, 3, 4, 5]])
    assert ours.clip(boxes, (10, 20)).tolist() == [[0, 0, 20, 8], [2, 3, 4, 5]]
    assert ours.to_cxcywh(boxes[1]).tolist() == [3, 4, 2, 2]
    torch.testing.assert_close(ours.to_xyxy(ours.to_cxcywh(boxes)), boxes)
