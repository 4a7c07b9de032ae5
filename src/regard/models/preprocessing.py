"""From a picture of any size to the tensor a network wants, and back to where a cell lies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from regard.core.shapes import Images

Resize = Literal["crop", "squash"]


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its images.

    Attributes:
        size: (height, width) in pixels.
        mean, std: per RGB channel, for values in [0, 1].
        resize: `crop` scales the shorter side to size / crop_fraction and cuts out the centre;
            `squash` scales both sides.
        crop_fraction: the share of the shorter side that the crop keeps.
        interpolation: `bilinear` or `bicubic` (antialiased, as Pillow does it).

    """

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Resize = "crop"
    crop_fraction: float = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"

    def fit(self, picture: Image.Image) -> Image.Image:
        """Scale and crop an RGB picture to the model's size."""
        method = getattr(Image.Resampling, self.interpolation.upper())
        height, width = self.size
        if self.resize == "squash":
            return picture.resize((width, height), method)
        scale = max(
            height / self.crop_fraction / picture.height, width / self.crop_fraction / picture.width
        )
        box_height, box_width = height / scale, width / scale
        left, top = (picture.width - box_width) / 2, (picture.height - box_height) / 2
        # One resampling step does both: no pixel outside the crop is ever computed, so that a
        # very wide picture costs no more than a square one.
        box = (left, top, left + box_width, top + box_height)
        return picture.resize((width, height), method, box=box)

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
