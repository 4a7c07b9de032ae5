"""Is the `photo` extra's ImageNet classifier itself? Top-1 and top-5 on photographs of known class.

Takes a folder of photographs called `nWORDNETID_name.jpg`, such as a sample of ImageNet's
validation set; by default `photos` in the folder that REGARD_DATA names.
"""

import argparse
import os
from pathlib import Path

import torch

from regard.core.packages import require
from regard.data import read_image
from regard.models.load import load
from regard.train.metrics import Proportion
from result import record


def main() -> None:
    """Classify every photograph, and write `results/photo_models.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    data = Path(os.environ.get("REGARD_DATA", "."))
    parser.add_argument("photos", type=Path, nargs="?", default=data / "photos")
    options = parser.parse_args()
    files = sorted(options.photos.glob("n*_*.jpg"))
    if not files:
        print(f"skipped: {options.photos} holds no photographs called nWORDNETID_name.jpg")
        return
    info = require("timm.data", extra="photo").ImageNetInfo()
    index = {info.index_to_label_name(i): i for i in range(1000)}
    model = load("photo:efficientnet-lite0")
    top1 = top5 = 0
    with torch.inference_mode():
        for path in files:
            best = model(model.prepare(read_image(path))).topk(5).indices[0].tolist()
            true = index[path.name.split("_")[0]]
            top1 += best[0] == true
            top5 += true in best
    figures = {
        name: {"value": share.value, "interval": [round(x, 4) for x in share.interval]}
        for name, share in {
            "top1": Proportion(top1, len(files)),
            "top5": Proportion(top5, len(files)),
        }.items()
    }
    record("photo_models", {"photo:efficientnet-lite0": figures}, n=len(files))


if __name__ == "__main__":
    main()
