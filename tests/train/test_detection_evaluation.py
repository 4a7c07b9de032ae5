"""A detector is run over every image, and its worst mistakes are the ones that were planted."""

import numpy as np
import pytest
import torch
from torch import nn

from regard.data.detection_batches import DetectionBatches
from regard.data.detection_dataset import Boxes, DetectionDataset
from regard.models import Preprocessing, VisionModel
from regard.train.detection_evaluation import detect, evaluate_detector

CLASSES = ("cell", "disc")
SIZE = 32


def dataset(count=5):
    """Images whose brightness is their number, each with a cell, and a disc in the even ones."""
    pictures, truth = [], []
    for index in range(count):
        pictures.append(np.full((SIZE, SIZE, 3), index, dtype=np.uint8))
        corners = [[2.0, 2, 12, 12], [16, 16, 28, 28]][: 2 - index % 2]
        labels = torch.arange(len(corners))
        truth.append(Boxes(torch.tensor(corners), labels, torch.zeros(len(labels)).bool()))
    return DetectionDataset(tuple(pictures), tuple(truth), CLASSES, "planted")


class Planted(nn.Module):
    """Finds everything, but misses the disc of image 2 and sees a cell in image 3 that is not."""

    def forward(self, images):
        assert not self.training
        results = []
        for image in images:
            number = round(image.mean().item() * 255)
            boxes, scores, labels = [[2.0, 2, 12, 12]], [0.9], [0]
            if number % 2 == 0 and number != 2:
                boxes, scores, labels = [*boxes, [16, 16, 28, 28]], [0.9, 0.8], [0, 1]
            if number == 3:
                boxes, scores, labels = [*boxes, [20, 2, 30, 10]], [*scores, 0.95], [*labels, 0]
            results.append(
                {
                    "boxes": torch.tensor(boxes),
                    "scores": torch.tensor(scores),
                    "labels": torch.tensor(labels),
                }
            )
        return results


@pytest.fixture
def model():
    plain = Preprocessing(size=(SIZE, SIZE), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return VisionModel(
        network=Planted(), preprocessing=plain, labels=CLASSES, name="planted", task="detect"
    )


def batches(data):
    return DetectionBatches(data, 2, size=SIZE, shuffle=False, keep_ignored=True, workers=0)


def test_worst_mistakes(model):
    evaluation = evaluate_detector(model, batches(dataset()), draws=20)
    missed, false = evaluation.mistakes
    assert (missed.kind, missed.label, missed.overlap) == ("missed", 1, 0.0)
    assert missed.box == (16, 16, 28, 28)
    assert (missed.picture == 2).all()
    assert missed.found == ((2, 2, 12, 12),)
    assert (false.kind, false.label) == ("false", 0)
    assert false.score == pytest.approx(0.95)
    assert false.box == (20, 2, 30, 10)
    assert (false.picture == 3).all()
    assert false.truth == ((2, 2, 12, 12),)
    # Four of five cells would not do: the false cell comes first, so precision is 5 / 6.
    cell, disc = evaluation.scores.per_class.values()
    assert cell.ap50.value == pytest.approx(5 / 6)
    assert disc.ap50.value == pytest.approx(67 / 101)
    assert evaluation.to_json()["mAP50"] == pytest.approx((5 / 6 + 67 / 101) / 2)


def test_mode_is_as_before(model):
    model.network.train()
    detect(model.network, batches(dataset()), model.preprocessing.normalise)
    assert model.network.training


def test_an_ignored_box_is_not_missed(model):
    data = dataset()
    hidden = data.truth[2]
    hidden.ignored[1] = True
    evaluation = evaluate_detector(model, batches(data), draws=0)
    assert [mistake.kind for mistake in evaluation.mistakes] == ["false"]
    assert evaluation.scores.per_class["disc"].ap50.value == 1.0
