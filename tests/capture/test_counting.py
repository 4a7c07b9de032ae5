"""Tokens are placed by counting only where one layout fits."""

import pytest

from regard.capture.counting import locate_map, locate_tokens
from regard.core.grid import Grid


@pytest.mark.parametrize(
    ("tokens", "image", "expected"),
    [
        (196, (224, 224), Grid(14, 14, 0, (16.0, 16.0))),
        (197, (224, 224), Grid(14, 14, 1, (16.0, 16.0))),
        (201, (224, 224), Grid(14, 14, 5, (16.0, 16.0))),
        (65, (32, 32), Grid(8, 8, 1, (4.0, 4.0))),
        (1370, (518, 518), Grid(37, 37, 1, (14.0, 14.0))),
        (1 + 14 * 28, (224, 448), Grid(14, 28, 1, (16.0, 16.0))),
    ],
)
def test_patches_of_an_image(tokens, image, expected):
    assert locate_tokens(tokens, [(2, 3, *image), (2, tokens, 8)]) == expected


@pytest.mark.parametrize("tokens", [77, 150, 100])
def test_tokens_that_fit_no_patches_are_not_placed(tokens):
    assert locate_tokens(tokens, [(2, 3, 224, 224), (2, tokens, 8)]) is None


def test_a_map_that_the_model_made_comes_first():
    shapes = [(2, 3, 230, 160), (2, 177, 8)]
    expected = Grid(16, 11, 1, (230 / 16, 160 / 11))
    assert locate_tokens(177, shapes) is None
    assert locate_tokens(177, shapes, {(16, 11), (1, 1)}) == expected
    assert locate_tokens(177, shapes, {(16, 11), (17, 10)}) is None


def test_without_an_image_nothing_is_placed():
    assert locate_tokens(197, [(2, 197, 8)]) is None
    assert locate_tokens(197, [None]) is None


def test_the_nearest_map_decides():
    shapes = [(2, 3, 64, 64), (2, 16, 8, 32), (2, 16, 32, 8)]
    assert locate_tokens(256, shapes) == Grid(32, 8, 0, (2.0, 8.0))


def test_a_map_that_could_be_read_two_ways_is_not_placed():
    assert locate_tokens(24, [(2, 3, 24, 24), (2, 6, 4, 6)]) is None


def test_maps_with_channels_last():
    assert locate_tokens(48, [(2, 3, 32, 24), (2, 8, 6, 20)]) == Grid(8, 6, 0, (4.0, 4.0))


def test_the_features_of_a_gate():
    assert locate_map((2, 16, 7, 5), [(2, 3, 28, 20)]) == Grid(7, 5, 0, (4.0, 4.0))
    assert locate_map((2, 16, 1, 1), [(2, 3, 28, 20)]) is None
    assert locate_map((2, 16), [(2, 3, 28, 20)]) is None
