"""Segmentation's losses and class weights against their twins, and what void must not do."""

import pytest
import torch
from tests.reference.train import segmentation as twin

from regard.core.errors import InputError
from regard.train.class_weights import median_frequency_weights
from regard.train.segmentation_loss import (
    LOSSES,
    SegmentationLoss,
    cross_entropy,
    dice,
    focal,
    generalised_dice,
)

WEIGHTS = (0.5, 2.0, 1.0, 3.0)
NO_WEIGHTS = (1.0,) * 4
TWINS = {
    "cross_entropy": twin.cross_entropy,
    "focal": lambda logits, truth, weights: twin.focal(logits, truth, weights, 2.0),
    "dice": twin.dice,
    "generalised_dice": twin.generalised_dice,
}


def batch(seed=0, *, void=True):
    """Four classes, of which the last never occurs; some pixels are void."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 4, 5, 6, generator=random, dtype=torch.float64)
    truth = torch.randint(0, 3, (2, 5, 6), generator=random)
    if void:
        truth[torch.rand(2, 5, 6, generator=random) < 0.3] = 255
    return logits, truth


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_losses_agree_with_their_twins(name, weights):
    for seed in range(3):
        logits, truth = batch(seed)
        given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        ours = LOSSES[name](logits, truth, given)
        theirs = TWINS[name](logits.tolist(), truth.tolist(), weights or NO_WEIGHTS)
        assert ours.item() == pytest.approx(theirs, rel=1e-9)


def test_focal_loss_of_another_gamma_agrees_too():
    logits, truth = batch()
    theirs = twin.focal(logits.tolist(), truth.tolist(), NO_WEIGHTS, 0.7)
    assert focal(logits, truth, gamma=0.7).item() == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_void_pixels_have_no_say_and_no_gradient(name):
    logits, truth = batch()
    logits.requires_grad_(True)
    loss = LOSSES[name](logits, truth)
    (gradient,) = torch.autograd.grad(loss, logits)
    void = (truth == 255)[:, None].expand_as(gradient)
    assert (gradient[void] == 0).all()
    assert (gradient[~void] != 0).any()
    changed = torch.where(void, logits + 5, logits)
    assert LOSSES[name](changed, truth).item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_void_alone_teaches_nothing_and_breaks_nothing(name):
    logits, truth = batch()
    logits.requires_grad_(True)
    loss = LOSSES[name](logits, torch.full_like(truth, 255))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_costs_nothing(name):
    _, truth = batch(void=False)
    logits = 60.0 * torch.nn.functional.one_hot(truth, 4).permute(0, 3, 1, 2)
    assert LOSSES[name](logits, truth).item() == pytest.approx(0, abs=1e-6)


def test_a_class_of_few_pixels_weighs_as_much_as_one_of_many_in_dice():
    """Getting 4 of 400 pixels wrong hardly moves cross-entropy, and takes half of Dice."""
    truth = torch.zeros(1, 20, 20, dtype=torch.int64)
    truth[0, :2, :2] = 1
    logits = torch.zeros(1, 2, 20, 20)
    logits[:, 0] = 10.0
    assert cross_entropy(logits, truth) < 0.11
    assert dice(logits, truth) > 0.49
    assert generalised_dice(logits, truth) > 0.49


def test_a_large_image_does_not_underflow_in_float32():
    truth = torch.zeros(1, 600, 600, dtype=torch.int64)
    truth[0, :300] = 1
    logits = torch.zeros(1, 2, 600, 600)
    assert generalised_dice(logits, truth).item() == pytest.approx(0.5, abs=1e-4)


def test_a_sum_is_the_sum_of_its_terms():
    logits, truth = batch()
    weighed = torch.tensor(WEIGHTS, dtype=torch.float64)
    loss = SegmentationLoss.parse("cross_entropy + 0.5*dice+2 * focal", WEIGHTS)
    expected = cross_entropy(logits, truth, weighed) + 0.5 * dice(logits, truth, weighed)
    expected = expected + 2 * focal(logits, truth, weighed)
    assert loss(logits, truth).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dise", "did you mean dice"),
        ("cross_entropy +", "cannot read loss"),
        ("1.2.3 * dice", "cannot read loss"),
        ("cross_entropy - dice", "cannot read loss"),
    ],
)
def test_a_loss_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        SegmentationLoss.parse(text)


@pytest.mark.parametrize("classes", [3, 4, 5])
def test_class_weights_agree_with_their_twin(classes):
    random = torch.Generator().manual_seed(classes)
    masks = [torch.randint(0, high, (4, 5), generator=random) for high in (2, 3, classes - 1)]
    masks[0][0] = 255
    ours = median_frequency_weights(masks, classes)
    theirs = twin.median_frequency_weights([mask.tolist() for mask in masks], classes)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_a_class_that_never_occurs_has_the_weight_one():
    masks = [torch.tensor([[0, 0], [0, 1]])]
    assert median_frequency_weights(masks, 3)[2] == 1.0
    assert median_frequency_weights([torch.full((2, 2), 255)], 2) == (1.0, 1.0)
