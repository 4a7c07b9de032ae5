"""Who meets whom in windows, seen from outside: by changing one position of the input."""

import pytest
import torch

from regard.attention import Window
from regard.core.errors import InputError
from regard.core.seeding import seeded


def reached_from(row, col, height, width, **options):
    """Return the set of positions whose output changes with the input at (row, col)."""
    with seeded(0):
        layer = Window(4, num_heads=1, **options).double()
        x = torch.randn(1, 4, height, width, dtype=torch.float64)
    changed = x.clone()
    changed[0, :, row, col] += 1
    with torch.no_grad():
        moved = (layer(changed) - layer(x)).abs().amax(1)[0] > 1e-12
    return {tuple(place) for place in moved.nonzero().tolist()}


def block(rows, cols):
    return {(row, col) for row in rows for col in cols}


def test_plain_windows_do_not_meet():
    assert reached_from(1, 5, 8, 8, window_size=4) == block(range(4), range(4, 8))


def test_shifted_windows_join_what_plain_ones_part():
    reached = reached_from(3, 3, 8, 8, window_size=4, shifted=True)
    assert reached == block(range(2, 6), range(2, 6))


@pytest.mark.parametrize(
    ("corner", "reached"),
    [
        ((0, 0), block(range(2), range(2))),
        ((0, 7), block(range(2), range(6, 8))),
        ((7, 0), block(range(6, 8), range(2))),
        ((7, 7), block(range(6, 8), range(6, 8))),
    ],
)
def test_nothing_reaches_across_the_wrap(corner, reached):
    assert reached_from(*corner, 8, 8, window_size=4, shifted=True) == reached


def test_an_axis_of_one_window_is_not_shifted():
    reached = reached_from(0, 0, 4, 8, window_size=4, shifted=True)
    assert reached == block(range(4), range(2))


@pytest.mark.parametrize("shifted", [False, True])
def test_padding_is_not_attended_to(shifted):
    # Every key scores alike, so the output is the mean of the values seen: 1 everywhere, unless
    # zeros from the padding are among them.
    layer = Window(2, window_size=4, shifted=shifted, num_heads=1, position_bias=False)
    for part in (layer.query.weight, layer.query.bias, layer.key.weight):
        torch.nn.init.zeros_(part)
    for part in (layer.value, layer.project):
        torch.nn.init.dirac_(part.weight)
        torch.nn.init.zeros_(part.bias)
    x = torch.ones(2, 2, 5, 7)
    torch.testing.assert_close(layer(x), x)


def test_gradients_are_finite_where_windows_hold_padding():
    layer = Window(2, window_size=4, shifted=True, num_heads=1)
    x = torch.ones(1, 2, 5, 9, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_shifting_windows_of_one_position_is_refused():
    with pytest.raises(InputError, match="shifted=True needs windows of at least 2"):
        Window(4, window_size=1, shifted=True)
