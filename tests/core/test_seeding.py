"""Random states are taken, compared and put back."""

import numpy as np
import pytest
import torch

from regard.core.seeding import RandomState, preserved_random_state, seeded


def draw():
    """Python's own generator is left out: the type checker of these tests draws from it, too."""
    return float(np.random.rand()), float(torch.rand(()))


def draw_and_fail():
    draw()
    raise ArithmeticError


def test_the_same_numbers_come_again():
    state = RandomState.now()
    first = draw()
    state.restore()
    assert draw() == first


@pytest.mark.parametrize("use", [np.random.rand, lambda: torch.rand(())])
def test_a_draw_is_noticed(use):
    with seeded(0):
        before = RandomState.now()
        assert before.agrees_with(RandomState.now())
        use()
        assert not before.agrees_with(RandomState.now())


def test_what_is_drawn_inside_leaves_no_trace_after_an_exception():
    state = RandomState.now()
    expected = draw()
    state.restore()
    with pytest.raises(ArithmeticError), preserved_random_state():
        draw_and_fail()
    assert draw() == expected
