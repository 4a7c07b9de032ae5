"""From a picture of any size to the tensor a network wants, and back to where a cell lies."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from regard.core.errors import InputError
from regard.core.shapes import Images

Resize = Literal["crop", "squash", "letterbox"]
Margin = Literal["round", "floor"]
Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

_GREY = 114
"""What a letterbox shows beside the picture, as in YOLO's."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its images.

    Attributes:
        size: (height, width) in pixels.
        mean, std: per RGB channel, for values in [0, 1].
        resize: `crop` scales the shorter side to size / crop_fraction, `squash` both sides; then
            the centre is cut out. `letterbox` scales the picture as large as it fits, undistorted,
            onto the middle of a grey canvas.
        crop_fraction: the share of the scaled side that the crop keeps.
        interpolation: `bilinear`, `bicubic` or another of Pillow's (antialiased, as Pillow does
            it).
        margin: how the crop's margins become whole pixels: `round`, half to even, as torchvision
            and timm do, or `floor`, as transformers does.

    """

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Resize = "crop"
    crop_fraction: float = 1.0
    interpolation: Interpolation = "bicubic"
    margin: Margin = "round"

    def __post_init__(self) -> None:
        if min(self.size) < 1 or not 0 < self.crop_fraction <= 1:
            raise InputError(
                f"preprocessing needs a size of at least 1×1 and a crop_fraction in (0, 1], not "
                f"{self.size} and {self.crop_fraction}"
            )

    def fit(self, picture: Image.Image) -> Image.Image:
        """Scale and crop an RGB picture to the model's size.

        Sides and margins are whole pixels, so that the pixels are those of the model's library.
        """
        method = getattr(Image.Resampling, self.interpolation.upper())
        if self.resize == "letterbox":
            return self._letterboxed(picture, method)
        height, width = self.size
        rows, cols = self._scaled(picture.height, picture.width)
        whole = math.floor if self.margin == "floor" else round
        top, left = whole((rows - height) / 2), whole((cols - width) / 2)
        # One resampling step does both: no pixel outside the crop is ever computed, so that a
        # very wide picture costs no more than a square one.
        down, across = picture.height / rows, picture.width / cols
        right = min((left + width) * across, picture.width)
        bottom = min((top + height) * down, picture.height)
        return picture.resize(
            (width, height), method, box=(left * across, top * down, right, bottom)
        )

    def _letterboxed(self, picture: Image.Image, method: Image.Resampling) -> Image.Image:
        """Draw the picture as `regard.data.DetectionBatches` draws it: whole canvas pixels."""
        scale = min(self.size[0] / picture.height, self.size[1] / picture.width)
        low, high, start, end = [], [], [], []
        for room, side in zip(self.size[::-1], picture.size, strict=True):
            shift = (room - side * scale) / 2
            low.append(max(0, round(shift)))
            high.append(min(room, round(shift + side * scale)))
            start.append(max(0.0, (low[-1] - shift) / scale))
            end.append(min(float(side), (high[-1] - shift) / scale))
        drawn = picture.resize((high[0] - low[0], high[1] - low[1]), method, box=(*start, *end))
        canvas = Image.new("RGB", (self.size[1], self.size[0]), (_GREY, _GREY, _GREY))
        canvas.paste(drawn, (low[0], low[1]))
        return canvas

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        """Return the sides (height, width) to which a picture is scaled before it is cropped."""
        # The millionth of a pixel is for fractions such as 224 / 232, which are not exact.
        rows, cols = (math.floor(side / self.crop_fraction + 1e-6) for side in self.size)
        if self.resize == "squash":
            return rows, cols
        if height * cols <= width * rows:  # the height is the shorter side
            return rows, max(cols, rows * width // height)
        return max(rows, cols * height // width), cols

    def normalise(self, images: Images) -> Images:
        """Images in [0, 1], (batch, 3, height, width), to what the network was trained on."""
        return (images - self._channels(self.mean, images)) / self._channels(self.std, images)

    def denormalise(self, images: Images) -> Images:
        """Undo `normalise`."""
        return images * self._channels(self.std, images) + self._channels(self.mean, images)

    def __call__(self, picture: Image.Image) -> Images:
        """Turn one RGB picture into a batch of one: (1, 3, height, width), normalised."""
        return self.normalise(to_tensor(self.fit(picture)))

    @staticmethod
    def _channels(values: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a run's `config.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Preprocessing":
        """Read what `to_json` wrote."""
        tuples = {key: tuple(values[key]) for key in ("size", "mean", "std")}
        return cls(**{**values, **tuples})


def to_tensor(picture: Image.Image) -> Images:
    """Turn an RGB picture into (1, 3, height, width), float in [0, 1]."""
    pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    return pixels.permute(2, 0, 1)[None].float() / 255
