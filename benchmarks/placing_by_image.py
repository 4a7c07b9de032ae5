"""Are the tokens of a trained model placed whatever the image is that it is first given?

The layout is found once for a model and a size of input, on the first image that comes. Deep in a
small trained transformer (that of the synthetic scenes, `scene_maps.py --train`) tokens see all of
the image, on some images more than on others. Each image here is the first. Counted is on how many
of them the tokens of every site are placed as in the first layer, and how many times the model runs
for it: as it is done, and without the step that goes from one layer to the next.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from regard.capture import capture
from regard.capture.locate import Search
from regard.data import scenes
from regard.models.load import load
from regard.models.vision_model import VisionModel
from regard.train.metrics import wilson_interval
from result import record

SEED = 57


def main() -> None:
    """Count, and write `results/placing_by_image.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/scenes/conv_stem_vit"))
    parser.add_argument("--images", type=int, default=60)
    options = parser.parse_args()
    images = scenes.make(options.images, seed=SEED).images
    figures = {
        "layer by layer": placed(options.run, images),
        "each layer from the image alone": placed(options.run, images, hand_on=False),
    }
    record("placing_by_image", figures, n=options.images)


def placed(run: Path, images: Tensor, *, hand_on: bool = True) -> dict[str, object]:
    """Return on how many images all tokens are placed, and how often the model runs for it."""
    right, runs = 0, []
    for image in images:
        model = load(run)  # a new one: nothing is known of it
        with counted(model) as calls, patched(hand_on):
            right += all_placed(model, image)
        runs.append(len(calls))
    low, high = wilson_interval(right, len(images))
    return {
        "placed": right / len(images),
        "interval": [round(low, 3), round(high, 3)],
        "runs_of_the_model_median": float(np.median(runs)),
        "runs_of_the_model_most": max(runs),
    }


@torch.no_grad()
def all_placed(model: VisionModel, image: Tensor) -> bool:
    """Return True if the queries and keys of all sites lie where those of the first do."""
    with capture(model) as seen:
        model(model.prepare(Image.fromarray(image.permute(1, 2, 0).numpy())))
    grids = [grid for record in seen.records for grid in (record.query_grid, record.key_grid)]
    return all(
        grid is not None and np.array_equal(grid.table, np.arange(-1, 64)[None]) for grid in grids
    )


@contextmanager
def counted(model: torch.nn.Module) -> Iterator[list[None]]:
    """Count the runs of a model inside the block."""
    calls: list[None] = []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(None))
    try:
        yield calls
    finally:
        hook.remove()


@contextmanager
def patched(hand_on: bool) -> Iterator[None]:
    """Leave out the step from one layer to the next inside the block, if so asked."""
    if hand_on:
        yield
    else:
        with patch.object(Search, "hand_on", lambda _: None):
            yield


if __name__ == "__main__":
    main()
