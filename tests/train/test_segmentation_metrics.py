"""Segmentation's figures against their twins; void, absent classes and images one by one."""

import numpy as np
import pytest
from tests.reference.train import segmentation as twin

from regard.core.errors import InputError
from regard.train.segmentation_evaluation import counts_of
from regard.train.segmentation_metrics import boundary_f1, pixel_confusion

CLASSES = 4


def masks(seed, *, images=3, size=(9, 12)):
    """Blocky truth with void, and a prediction that is often right; the last class never occurs."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, CLASSES - 1, (images, 3, 4)).repeat(3, 1).repeat(3, 2)
    predicted = truth.copy()
    wrong = random.random(predicted.shape) < 0.2
    predicted[wrong] = random.integers(0, CLASSES - 1, wrong.sum())
    truth[random.random(truth.shape) < 0.1] = 255
    return predicted[:, : size[0], : size[1]], truth[:, : size[0], : size[1]]


def counts(predicted, truth):
    return counts_of(
        np.stack([pixel_confusion(p, t, CLASSES) for p, t in zip(predicted, truth, strict=True)])
    )


@pytest.mark.parametrize("seed", range(4))
def test_iou_agrees_with_sets_of_pixels(seed):
    predicted, truth = masks(seed)
    found = counts(predicted, truth)
    for c, ours in enumerate(found.iou):
        theirs = twin.iou(predicted.tolist(), truth.tolist(), c)
        assert (theirs is None and np.isnan(ours)) or ours == pytest.approx(theirs, rel=1e-12)
    theirs = twin.mean_iou(predicted.tolist(), truth.tolist(), CLASSES)
    assert found.mean_iou == pytest.approx(theirs, rel=1e-12)


def test_a_stream_of_images_is_not_the_mean_of_its_images():
    """A class of one pixel in one image must not count as much as one of a hundred in another."""
    truth = np.array([[[0, 0], [0, 1]], [[1, 1], [1, 1]]])
    predicted = np.array([[[0, 0], [0, 0]], [[1, 1], [1, 1]]])
    found = counts(predicted, truth)
    assert found.iou[:2] == pytest.approx([3 / 4, 4 / 5])
    assert found.accuracy == 7 / 8


def test_a_predicted_class_that_is_nowhere_true_counts_as_zero():
    truth, predicted = np.zeros((1, 2, 2), int), np.array([[[0, 0], [0, 3]]])
    assert counts(predicted, truth).mean_iou == pytest.approx((3 / 4 + 0) / 2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tolerance", [0.0, 0.07, 0.15])
def test_boundary_f1_agrees_with_all_pairs_of_pixels(seed, tolerance):
    predicted, truth = (each[0] for each in masks(seed))
    ours = boundary_f1(predicted, truth, tolerance=tolerance)
    for c in range(CLASSES):
        theirs = twin.boundary_f1(predicted.tolist(), truth.tolist(), c, tolerance)
        assert ours.get(c) == (None if theirs is None else pytest.approx(theirs, rel=1e-12))


def test_a_shifted_outline_is_right_within_the_tolerance_only():
    truth = np.zeros((40, 40), int)
    truth[10:30, 10:30] = 1
    shifted = np.roll(truth, 2, axis=1)
    diagonal = np.hypot(40, 40)
    assert boundary_f1(shifted, truth, tolerance=2.01 / diagonal)[1] == 1.0
    assert boundary_f1(shifted, truth, tolerance=0.99 / diagonal)[1] < 0.8
    assert boundary_f1(truth, truth) == {0: 1.0, 1: 1.0}


def test_the_edge_of_void_is_no_boundary():
    truth = np.zeros((10, 10), int)
    truth[:, 5:] = 255
    predicted = np.zeros((10, 10), int)
    predicted[:, 5:] = 1
    assert boundary_f1(predicted, truth) == {}


def test_the_interval_holds_the_figure_and_narrows_with_more_images():
    few, many = counts(*masks(0, images=6)), counts(*masks(0, images=96))
    widths = []
    for found in (few, many):
        (low, high), each = found.intervals(seed=1)
        assert low < found.mean_iou < high
        assert np.isnan(each[CLASSES - 1]).all()
        assert all(a <= value <= b for (a, b), value in zip(each[:3], found.iou, strict=False))
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_interval_is_that_of_a_bootstrap_done_image_by_image():
    predicted, truth = masks(2, images=8)
    found = counts(predicted, truth)
    random = np.random.default_rng(0)
    values = []
    for _ in range(2000):
        drawn = random.integers(0, 8, 8)
        values.append(twin_mean(found, drawn))
    low, high = np.quantile(values, (0.025, 0.975))
    assert found.intervals(draws=4000)[0] == pytest.approx((low, high), abs=0.012)


def twin_mean(found, drawn):
    """The mean IoU of the drawn images, each class's pixels added up one image at a time."""
    each = []
    for c in range(CLASSES):
        right = sum(found.right[i, c] for i in drawn)
        union = sum(found.predicted[i, c] + found.true[i, c] - found.right[i, c] for i in drawn)
        if union:
            each.append(right / union)
    return sum(each) / len(each)


def test_masks_of_another_size_or_with_an_unknown_class_are_refused():
    with pytest.raises(InputError, match="pixels"):
        pixel_confusion(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)
    with pytest.raises(InputError, match="not below 2"):
        pixel_confusion(np.zeros((2, 2), int), np.full((2, 2), 2), 2)
    with pytest.raises(InputError, match="not below 2"):
        pixel_confusion(np.full((2, 2), 2), np.zeros((2, 2), int), 2)
