"""What a walk ends in: numbers for each class, whatever the model's task is."""

import numpy as np
import pytest
import torch
from torch import nn

import regard.attention
from regard.core.seeding import seeded
from regard.explain.walk import walk
from regard.explain.walk_answer import answer_of
from regard.models import NetworkSpec, build

LABELS = ("sky", "road", "tree")


def test_probabilities_of_a_classifier():
    kind, numbers = answer_of(torch.tensor([[0.0, 1.0, -1.0]]), LABELS)
    expected = np.exp([0.0, 1.0, -1.0])
    assert kind == "classes"
    np.testing.assert_allclose(numbers, expected / expected.sum())


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"logits": t}])
def test_shares_of_the_pixels_of_a_segmenter(wrap):
    mask = torch.tensor([[0, 0, 0, 1], [2, 0, 0, 1]])
    logits = torch.nn.functional.one_hot(mask, 3).movedim(2, 0)[None].float()
    kind, numbers = answer_of(wrap(logits), LABELS)
    assert kind == "pixels"
    assert numbers.tolist() == [5 / 8, 2 / 8, 1 / 8]


def test_scores_of_the_surest_boxes_of_a_detector():
    queries = {
        "logits": torch.tensor([[[2.0, -1, 0], [3.0, -2, -3], [-4.0, 0.5, -5]]]),
        "pred_boxes": torch.full((1, 3, 4), 0.5),
    }
    kind, numbers = answer_of(queries, LABELS)
    assert kind == "boxes"
    np.testing.assert_allclose(numbers, 1 / (1 + np.exp([-3.0, -0.5, 0.0])), rtol=1e-6)


def test_a_list_of_boxes_tells_of_the_classes_that_were_found():
    row = {
        "boxes": torch.tensor([[0.0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]]),
        "scores": torch.tensor([0.4, 0.7, 0.2]),
        "labels": torch.tensor([1, 1, 0]),
    }
    kind, numbers = answer_of([row], LABELS)
    assert kind == "boxes"
    np.testing.assert_allclose(numbers, [0.2, 0.7, 0.0], rtol=1e-6)
    nothing = {name: tensor[:0] for name, tensor in row.items()}
    assert answer_of([nothing], LABELS)[1].tolist() == [0.0, 0.0, 0.0]
    assert answer_of([row], LABELS[:1]) is None


@pytest.mark.parametrize("labels", [None, (), ("sky", "road")])
def test_a_map_of_features_is_no_answer(labels):
    assert answer_of(torch.zeros(1, 3, 4, 4), labels) is None


class Segmenter(nn.Module):
    """A gate over a map, and a class for each of its positions."""

    labels = LABELS

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1)
        self.attention = regard.attention.create("cbam", 8)
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return self.head(self.attention(self.stem(x).relu()))


def test_a_walk_through_a_segmenter_ends_in_shares_with_attention_and_without():
    with seeded(0):
        model = Segmenter().eval()
        for parameter in model.parameters():
            parameter.data.normal_(0, 0.7)
        image = torch.rand(1, 3, 16, 16)
    found = walk(model, image)
    with torch.no_grad():
        mask = model(image)[0].argmax(0)
    expected = [float((mask == index).double().mean()) for index in range(3)]
    assert (found.answer, found.labels) == ("pixels", LABELS)
    assert found.probabilities.tolist() == pytest.approx(expected)
    without = [site.off.probabilities for site in found.sites]
    assert all(off.sum() == pytest.approx(1) for off in without)
    assert any((off != found.probabilities).any() for off in without)


def test_a_walk_through_a_detector_ends_in_the_surest_box_of_each_class():
    spec = NetworkSpec("yolo", 3, "eca@neck", {"backbone": "resnet18(width=8)", "channels": 16})
    model = build(spec, seed=0, task="detect").eval()
    with seeded(0):
        image = torch.rand(1, 3, 64, 64)
    found = walk(model, image, labels=LABELS)
    with torch.no_grad():
        expected = model.raw(image).logits.sigmoid()[0].amax(0)
    assert found.answer == "boxes"
    np.testing.assert_allclose(found.probabilities, expected.double().numpy(), rtol=1e-5)
