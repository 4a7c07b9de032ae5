"""RoIAlign agrees with reading point by point, and with torchvision's own code."""

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.models import roi_align as twin

from regard.core.boxes import clip
from regard.core.errors import InputError
from regard.core.packages import require
from regard.models.detect.roi_align import roi_align


def some(seed, images=2, channels=2):
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(images, channels, 5, 7, generator=random, dtype=torch.float64)
    boxes = []
    for number in range(images):
        # Some reach out of the map, some have no extent.
        start = torch.rand(number + 2, 2, generator=random, dtype=torch.float64) * 50 - 15
        extent = torch.rand(number + 2, 2, generator=random, dtype=torch.float64) * 40
        extent[0] = 0
        boxes.append(torch.cat([start, start + extent], 1))
    return features, boxes


@given(st.integers(0, 2**31), st.sampled_from([1, 2, 3, None]))
@settings(max_examples=20)
def test_twin(seed, sampling):
    features, boxes = some(seed)
    found = roi_align(features, boxes, (2, 3), scale=1 / 8, sampling=sampling)
    expected = [
        [twin.roi_align(channel, box, (2, 3), 1 / 8, sampling) for channel in image.tolist()]
        for image, each in zip(features, boxes, strict=True)
        for box in each.tolist()
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("sampling", [2, None])
def test_torchvision(sampling):
    require("torchvision", extra="zoo")
    operators = importlib.import_module("torchvision.ops.roi_align")
    # Its form in Python needs no compiled operator, but knows no boxes that reach out of the map.
    features, boxes = some(5)
    boxes = [clip(each[1:], (40, 56)) for each in boxes]
    rois = torch.cat(
        [torch.cat([each.new_full((len(each), 1), i), each], 1) for i, each in enumerate(boxes)]
    )
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    found = roi_align(ours, boxes, 3, scale=1 / 8, sampling=sampling)
    with torch.compiler.set_stance("force_eager"):
        expected = operators._roi_align(theirs, rois, 1 / 8, 3, 3, sampling or -1, True)
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_gradient():
    features, boxes = some(1, images=1, channels=1)
    features.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda each: roi_align(each, boxes, 2, scale=1 / 8), (features,)
    )


def test_a_ramp_reads_the_cells_centres():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    found = roi_align(ramp, [torch.tensor([[16.0, 16, 48, 48]])], 2, scale=1 / 8)
    # The cells' centres are at pixels 24 and 40; feature k has its centre at pixel 8 k + 4.
    assert found[0, 0].tolist() == [[2.5, 4.5], [2.5, 4.5]]


def test_no_boxes():
    features = torch.zeros(2, 3, 4, 4)
    none = torch.zeros(0, 4)
    for sampling in (2, None):
        found = roi_align(features, [none, none], scale=0.5, sampling=sampling)
        assert found.shape == (0, 3, 7, 7)


def test_bad_input():
    features = torch.zeros(2, 3, 4, 4)
    with pytest.raises(InputError, match="boxes of 1 images with features of 2"):
        roi_align(features, [torch.zeros(0, 4)], scale=0.5)
    with pytest.raises(InputError, match="sampling=0"):
        roi_align(features, [torch.zeros(0, 4)] * 2, scale=0.5, sampling=0)
