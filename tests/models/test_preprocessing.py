"""Preprocessing gives the very pixels that timm's and torchvision's own does."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models.photos import SIZES, levels_apart, photo

from regard.core.errors import InputError
from regard.core.packages import require
from regard.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

# Pillow keeps the corners of a crop in single precision; where that turns a rounding of one of
# its two passes, a value is off by a level. A crop off by one pixel is off by 8 on average.
MOST, MEAN = 2.01, 0.25


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("side", "fraction", "mode", "interpolation"),
    [
        (224, 0.875, "center", "bicubic"),
        (224, 0.9, "center", "bilinear"),  # 248.9 pixels: rounded down
        (256, 1.0, "center", "bicubic"),
        (288, 0.95, "center", "lanczos"),
        (384, 1.0, "squash", "bicubic"),
        (224, 0.9, "squash", "bicubic"),
    ],
)
def test_pixels_are_timm_s(size, side, fraction, mode, interpolation):
    transform = require("timm.data", extra="zoo").create_transform(
        input_size=(3, side, side),
        crop_pct=fraction,
        crop_mode=mode,
        interpolation=interpolation,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
    resize = "squash" if mode == "squash" else "crop"
    preprocessing = Preprocessing(
        (side, side), IMAGENET_MEAN, IMAGENET_STD, resize, fraction, interpolation
    )
    picture = photo(*size)
    most, mean = levels_apart(preprocessing, preprocessing(picture), transform(picture)[None])
    assert most < MOST
    assert mean < MEAN


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("side", "scaled", "interpolation"),
    # 128 / (128 / 186) is a little less than 186, and 186 it must be.
    [(224, 256, "bilinear"), (224, 232, "bilinear"), (128, 186, "bilinear"), (256, 260, "bicubic")],
)
def test_pixels_are_torchvision_s(size, side, scaled, interpolation):
    presets = require("torchvision.transforms._presets", extra="zoo")
    mode = require("torchvision.transforms", extra="zoo").InterpolationMode(interpolation)
    preset = presets.ImageClassification(crop_size=side, resize_size=scaled, interpolation=mode)
    preprocessing = Preprocessing(
        (side, side),
        IMAGENET_MEAN,
        IMAGENET_STD,
        crop_fraction=side / scaled,
        interpolation=interpolation,
    )
    picture = photo(*size)
    most, mean = levels_apart(preprocessing, preprocessing(picture), preset(picture)[None])
    assert most < MOST
    assert mean < MEAN


def test_half_a_pixel_of_margin_is_rounded_as_told():
    """7 columns of which 4 are kept leave a margin of 1.5: 2 by rounding to even, 1 by floor."""
    columns = np.arange(7, dtype=np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2)
    picture = Image.fromarray(columns)
    kept = {
        margin: np.array(
            Preprocessing((4, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), margin=margin).fit(picture)
        )[0, :, 0].tolist()
        for margin in ("round", "floor")
    }
    assert kept == {"round": [2, 3, 4, 5], "floor": [1, 2, 3, 4]}


def test_normalising_is_undone():
    preprocessing = Preprocessing((4, 4), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    normalised = preprocessing.normalise(images)
    torch.testing.assert_close(normalised[:, 1], (images[:, 1] - 0.2) / 0.5)
    torch.testing.assert_close(preprocessing.denormalise(normalised), images)


def test_plain_values_and_back():
    preprocessing = Preprocessing((4, 5), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "squash", 0.5)
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing
    older = preprocessing.to_json()
    del older["margin"]  # runs of before do not have it
    assert Preprocessing.from_json(older) == preprocessing


@pytest.mark.parametrize(("size", "fraction"), [((0, 4), 1.0), ((4, 4), 0.0), ((4, 4), 1.1)])
def test_what_cannot_be_cropped_is_refused(size, fraction):
    with pytest.raises(InputError, match=r"at least 1×1 and a crop_fraction in \(0, 1\]"):
        Preprocessing(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), crop_fraction=fraction)
