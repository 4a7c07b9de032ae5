"""An unknown name is answered with names, and never with more than one can read."""

import pytest

from regard.core.errors import unknown_name

FEW = ("rollout", "grad_cam", "saliency")
MANY = tuple(f"net_{number}" for number in range(41))


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("gradcam", FEW, "unknown method 'gradcam'; did you mean grad_cam?"),
        ("xyz", FEW, "unknown method 'xyz'; choose from: grad_cam, rollout, saliency"),
        (
            "net_44",
            MANY,
            "unknown method 'net_44'; did you mean net_4 or net_40 or net_34?",
        ),
        ("7x", MANY, "unknown method '7x'; the nearest of 41 are: net_7, net_37, net_27"),
        ("xyz", MANY[:40], f"unknown method 'xyz'; choose from: {', '.join(sorted(MANY[:40]))}"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_are_near(name, known, said):
    assert str(unknown_name("method", name, known)) == said
