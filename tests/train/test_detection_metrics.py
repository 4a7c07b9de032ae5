"""Figures of detection agree with COCO's rules taken box by box."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.train import detection_metrics as twin

from regard.core.errors import InputError
from regard.train.detection_matching import THRESHOLDS, average_precision
from regard.train.detection_metrics import coco_precision, match_class, score_detections

CLASSES = ("cell", "disc")


def some(seed, images=5, ignored=True):
    """Boxes near true ones and elsewhere, with ties of scores between images."""
    random = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=random)

    found, truth = [], []
    for _ in range(images):
        count = int(rand(()) * 5)
        start = rand(count, 2) * 60
        true = torch.cat([start, start + 10 + 20 * rand(count, 2)], 1)
        labels = (rand(count) * 2).long()
        near = true + (rand(count, 4) - 0.5) * 8
        start = rand(2, 2) * 60
        boxes = torch.cat([near, near + 1.5, torch.cat([start, start + 15], 1)])
        guesses = torch.cat([labels, labels, torch.tensor([0, 1])])
        scores = (rand(len(boxes)) * 20).round() / 20 + torch.arange(len(boxes)) * 1e-6
        found.append({"boxes": boxes, "scores": scores, "labels": guesses})
        hidden = rand(count) < 0.3 if ignored else torch.zeros(count, dtype=torch.bool)
        truth.append({"boxes": true, "labels": labels, "ignored": hidden})
    return found, truth


def as_lists(found, truth, label):
    images = []
    for seen, true in zip(found, truth, strict=True):
        at, there = seen["labels"] == label, true["labels"] == label
        pairs = zip(seen["scores"][at].tolist(), seen["boxes"][at].tolist(), strict=True)
        real = zip(true["boxes"][there].tolist(), true["ignored"][there].tolist(), strict=True)
        images.append((list(pairs), list(real)))
    return images


@given(st.integers(0, 2**31))
@settings(max_examples=25)
def test_package_and_ours_agree_with_the_twin(seed):
    found, truth = some(seed)
    precision = coco_precision(found, truth, 2)
    for label in range(2):
        images = as_lists(found, truth, label)
        expected = [twin.average_precision(images, threshold) for threshold in THRESHOLDS]
        ours = average_precision(match_class(found, truth, label))
        if expected[0] is None:
            assert ours is None
            assert (precision[:, :, label] == -1).all()
            continue
        np.testing.assert_allclose(precision[:, :, label].mean(1), expected, atol=1e-9)
        np.testing.assert_allclose(ours, expected, atol=1e-9)


@given(st.integers(0, 2**31))
@settings(max_examples=15)
def test_weights_are_images_taken_so_often(seed):
    found, truth = some(seed, images=4, ignored=False)
    weights = np.array([2.0, 0.0, 1.0, 3.0])
    repeated = [index for index, times in enumerate(weights) for _ in range(int(times))]
    for label in range(2):
        weighted = average_precision(match_class(found, truth, label), weights)
        plain = average_precision(
            match_class([found[i] for i in repeated], [truth[i] for i in repeated], label)
        )
        if plain is None:
            assert weighted is None
        else:
            np.testing.assert_allclose(weighted, plain, atol=1e-9)


def test_perfect_and_blind():
    _, truth = some(3, images=6, ignored=False)
    perfect = [each | {"scores": torch.ones(len(each["labels"]))} for each in truth]
    scores = score_detections(perfect, truth, CLASSES, draws=50)
    assert scores.map50.value == scores.map50_95.value == 1.0
    assert (scores.map50.low, scores.map50.high) == (1.0, 1.0)
    assert scores.per_class["cell"].best == (1.0, 1.0)
    blind = [{name: tensor[:0] for name, tensor in each.items()} for each in perfect]
    scores = score_detections(blind, truth, CLASSES, draws=50)
    assert scores.map50.value == 0.0
    assert scores.map50.high == 0.0


def test_figures():
    found, truth = some(11, images=12, ignored=False)
    scores = score_detections(found, truth, CLASSES, draws=200, seed=1)
    expected = [
        [twin.average_precision(as_lists(found, truth, label), each) for each in THRESHOLDS]
        for label in range(2)
    ]
    assert scores.map50.value == pytest.approx(np.mean([row[0] for row in expected]))
    assert scores.map50_95.value == pytest.approx(np.mean(expected))
    assert scores.per_class["disc"].ap50.value == pytest.approx(expected[1][0])
    assert scores.map50.low < scores.map50.value < scores.map50.high
    assert scores.to_json()["per_class"]["cell"]["AP50_95"] == pytest.approx(np.mean(expected[0]))
    again = score_detections(found, truth, CLASSES, draws=200, seed=1)
    assert again.to_json() == scores.to_json()
    other = score_detections(found, truth, CLASSES, draws=200, seed=2)
    assert other.map50.low != scores.map50.low


def test_interval_holds_the_truth_as_often_as_it_says():
    # Images of two kinds, wholly found or wholly missed, half each: AP is known.
    box = torch.tensor([[0.0, 0, 10, 10]])
    true = {"boxes": box, "labels": torch.tensor([0])}
    hit = {"boxes": box, "labels": torch.tensor([0]), "scores": torch.tensor([0.5])}
    miss = {name: tensor[:0] for name, tensor in hit.items()}
    held = 0
    for seed in range(20):
        random = torch.Generator().manual_seed(seed)
        found = [hit if flag else miss for flag in torch.rand(40, generator=random) < 0.5]
        scores = score_detections(found, [true] * 40, ("cell",), draws=40, seed=seed)
        held += scores.map50.low <= 0.5 <= scores.map50.high
    assert 15 <= held <= 20


def test_operating_point():
    truth = [
        {"boxes": torch.tensor([[0.0, 0, 9, 9], [20, 0, 29, 9]]), "labels": torch.zeros(2).long()}
    ]
    boxes = torch.tensor([[0.0, 0, 9, 9], [50, 0, 59, 9], [20, 0, 29, 9], [80, 0, 89, 9]])
    found = [
        {
            "boxes": boxes,
            "scores": torch.tensor([0.9, 0.8, 0.7, 0.1]),
            "labels": torch.zeros(4).long(),
        }
    ]
    score = score_detections(found, truth, ("cell",), draws=0).per_class["cell"]
    assert score.threshold == pytest.approx(0.7)
    assert score.best == (pytest.approx(2 / 3), 1.0)


def test_a_class_that_never_appears_has_no_figure():
    found, truth = some(3, images=6, ignored=False)
    scores = score_detections(found, truth, (*CLASSES, "ring"), draws=20)
    assert scores.per_class["ring"].ap50 is None
    assert "ring" not in scores.to_json()["per_class"]
    without = score_detections(found, truth, CLASSES, draws=20)
    assert scores.map50.value == without.map50.value


def test_bad_input():
    found, truth = some(1)
    with pytest.raises(InputError, match="found in 5 images, true boxes of 4"):
        score_detections(found, truth[:4], CLASSES)
    with pytest.raises(InputError, match="labels up to 1, but there are 1 classes"):
        score_detections(found, truth, CLASSES[:1])
    nothing = [{name: tensor[:0] for name, tensor in each.items()} for each in truth]
    with pytest.raises(InputError, match="nothing to find"):
        score_detections(found, nothing, CLASSES)
