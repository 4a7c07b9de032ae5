"""Draw each method's map of one photograph, for docs/methods.md.

Methods that explain classes are drawn with an ImageNet classifier, attention with DINOv2-small,
whose target is its embedding. D-RISE needs a detector: it is drawn with the cascade of local binary
patterns for faces that scikit-image brings, which has no gradients and needs none. Needs the extra
`photo`.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import regard
from regard.core.explanation import Explanation
from regard.core.packages import require
from regard.explain import BoxTarget, methods
from regard.show.explanation_overlay import overlaid

IMAGES = Path(__file__).parents[1] / "docs" / "images" / "methods"
CLASSIFIER, BACKBONE = "photo:efficientnet-lite0", "photo:dinov2-small"
# Colours are not subsampled: maps of pixels are dots of one pixel each.
PIXELS, QUALITY = 224, 80
# Fewer masks than by default, so that all are drawn in minutes.
OPTIONS = {"rise": {"masks": 1000}}


class FaceCascade(nn.Module):
    """Viola and Jones' cascade on local binary patterns: boxes around faces, all equally sure."""

    def __init__(self) -> None:
        super().__init__()
        data = require("skimage.data", extra="photo")
        feature = require("skimage.feature", extra="photo")
        self.cascade = feature.Cascade(data.lbp_frontal_face_cascade_filename())

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Return the boxes in each image, (batch, 3, height, width) from 0 to 1."""
        return [self._boxes(image.permute(1, 2, 0).numpy()) for image in images]

    def _boxes(self, pixels: np.ndarray) -> dict[str, Tensor]:
        found = self.cascade.detect_multi_scale(
            pixels, scale_factor=1.2, step_ratio=1, min_size=(40, 40), max_size=(160, 160)
        )
        corners = [(f["c"], f["r"], f["c"] + f["width"], f["r"] + f["height"]) for f in found]
        return {
            "boxes": torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
            "scores": torch.ones(len(corners)),
            "labels": torch.zeros(len(corners), dtype=torch.long),
        }


def main() -> None:
    """Write docs/images/methods/NAME.jpg for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=list(methods), choices=list(methods))
    options = parser.parse_args()
    data = require("skimage.data", extra="photo")
    picture = Image.fromarray(data.coffee())
    IMAGES.mkdir(parents=True, exist_ok=True)
    models: dict[str, Any] = {}
    for name in options.methods:
        if name == "d_rise":
            found = face(Image.fromarray(data.astronaut()))
        else:
            spec = BACKBONE if methods[name].family == "attention" else CLASSIFIER
            model = models[spec] = models.get(spec) or regard.load(spec)
            found = regard.see(model, picture, method=name, check=False, **OPTIONS.get(name, {}))
        drawn = Image.fromarray(overlaid(found, size=PIXELS))
        drawn.save(IMAGES / f"{name}.jpg", quality=QUALITY, subsampling=0, optimize=True)
        print(name, found.title, found.chosen)


def face(picture: Image.Image) -> Explanation:
    """Return D-RISE of the one face in the upper part of a portrait; what is hidden is grey."""
    square = picture.crop((0, 0, 420, 420)).resize((PIXELS, PIXELS))
    images = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 255
    return regard.see(
        FaceCascade().eval(),
        images,
        method="d_rise",
        target=BoxTarget(),
        labels=["face"],
        name="face cascade",
        check=False,
        fill=0.5,
        precision="float32",
    )


if __name__ == "__main__":
    main()
