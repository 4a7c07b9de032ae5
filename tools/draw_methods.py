"""Draw each method's map of one photograph, for docs/methods.md.

Methods that explain classes are drawn with an ImageNet classifier, attention with DINOv2-small,
whose target is its embedding. Needs the extra `photo`.
"""

import argparse
from pathlib import Path

from PIL import Image

import regard
from regard.core.packages import require
from regard.explain import methods, see
from regard.show.explanation_overlay import overlaid

IMAGES = Path(__file__).parents[1] / "docs" / "images" / "methods"
CLASSIFIER, BACKBONE = "photo:efficientnet-lite0", "photo:dinov2-small"
PIXELS, QUALITY = 224, 80
# Fewer than by default, so that all are drawn in minutes.
OPTIONS = {"rise": {"masks": 1000}, "d_rise": {"masks": 1000}}


def main() -> None:
    """Write docs/images/methods/NAME.jpg for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=list(methods), choices=list(methods))
    options = parser.parse_args()
    picture = Image.fromarray(require("skimage.data", extra="photo").coffee())
    IMAGES.mkdir(parents=True, exist_ok=True)
    models = {spec: regard.load(spec) for spec in (CLASSIFIER, BACKBONE)}
    for name in options.methods:
        model = models[BACKBONE if methods[name].family == "attention" else CLASSIFIER]
        found = see(model, picture, method=name, **OPTIONS.get(name, {}))
        drawn = Image.fromarray(overlaid(found, size=PIXELS))
        drawn.save(IMAGES / f"{name}.jpg", quality=QUALITY, optimize=True)
        print(name, found.title, found.chosen)


if __name__ == "__main__":
    main()
