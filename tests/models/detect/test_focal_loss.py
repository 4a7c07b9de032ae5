"""Focal loss is the paper's formula, and the bias prior what it says."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.models import detection as twin
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.models.detect.focal_loss import focal_loss, prior_bias

ALPHAS = st.one_of(st.none(), st.floats(0, 1))


@given(st.floats(-20, 20), st.integers(0, 1), ALPHAS, st.floats(0, 5))
def test_twin(logit, target, alpha, gamma):
    found = focal_loss(
        torch.tensor([logit], dtype=torch.float64),
        torch.tensor([float(target)], dtype=torch.float64),
        alpha=alpha,
        gamma=gamma,
    )
    expected = twin.focal_loss(logit, target, alpha, gamma)
    assert float(found) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_without_focus_it_is_cross_entropy():
    logits = torch.linspace(-4, 4, 9)
    targets = (torch.arange(9) % 2).float()
    ours = focal_loss(logits, targets, alpha=None, gamma=0.0)
    torch.testing.assert_close(
        ours, F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    )


def test_what_is_right_already_hardly_counts():
    sure, unsure = torch.tensor([6.0]), torch.tensor([-1.0])
    yes = torch.ones(1)
    shares = [
        float(focal_loss(sure, yes, gamma=gamma) / focal_loss(unsure, yes, gamma=gamma))
        for gamma in (0.0, 1.0, 2.0)
    ]
    assert shares[0] > 100 * shares[1] > 100 * 100 * shares[2]


def test_a_sure_answer_keeps_its_digits_in_single_precision():
    """1 − p_t of a logit of 30 is e⁻³⁰, and not 0."""
    logits = torch.tensor([30.0])
    loss = focal_loss(logits, torch.ones(1), alpha=None, gamma=1.0)
    assert float(loss) == pytest.approx(math.exp(-60), rel=1e-3)


def test_the_prior_is_the_first_probability():
    assert 1 / (1 + math.exp(-prior_bias(0.01))) == pytest.approx(0.01)


@pytest.mark.parametrize(("alpha", "gamma"), [(1.5, 2.0), (-0.1, 2.0), (0.25, -1.0)])
def test_values_that_cannot_be_meant(alpha, gamma):
    with pytest.raises(InputError, match=r"focal loss: alpha"):
        focal_loss(torch.zeros(1), torch.zeros(1), alpha=alpha, gamma=gamma)


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_a_prior_that_is_certain_is_refused(prior):
    with pytest.raises(InputError, match="between 0 and 1"):
        prior_bias(prior)
