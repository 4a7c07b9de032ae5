"""Accuracy's interval, calibration and confusion, against their twins."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import train_metrics as twin

from regard.core.errors import InputError
from regard.train.metrics import (
    Proportion,
    calibration_error,
    confusion_matrix,
    wilson_interval,
)

Z = 1.959963984540054


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_solves_its_own_definition(counts):
    correct, total = counts
    np.testing.assert_allclose(
        wilson_interval(correct, total), twin.wilson_interval(correct, total, Z), atol=1e-9
    )


def test_wilson_interval_of_a_published_case():
    # Newcombe 1998, table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_a_proportion_of_nothing_is_refused():
    with pytest.raises(InputError, match="0 correct of 0"):
        wilson_interval(0, 0)


def test_calibration_error_equals_its_twin():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(500, 5, generator=random, dtype=torch.float64) * 3
    probabilities = logits.softmax(1)
    labels = torch.randint(0, 5, (500,), generator=random)
    ours = calibration_error(probabilities, labels, bins=10)
    theirs = twin.calibration_error(probabilities.tolist(), labels.tolist(), bins=10)
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_a_model_that_is_always_sure_and_right_is_calibrated():
    assert calibration_error(torch.eye(4), torch.arange(4)) == 0


def test_confusion_counts_truth_in_rows():
    matrix = confusion_matrix(torch.tensor([1, 1, 0]), torch.tensor([0, 1, 0]), classes=3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_a_proportion_says_what_it_is():
    assert str(Proportion(9150, 10_000)) == "91.50% [90.94%, 92.03%], n = 10,000"
