"""A small folder of pictures, with a train and a test split."""

import numpy as np
import pytest
from PIL import Image

from regard.data import scenes


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for split, count, seed in (("train", 48, 1), ("test", 24, 2)):
        drawn = scenes.make(count, size=32, classes=("striped disc", "checked square"), seed=seed)
        for index, (image, label) in enumerate(zip(drawn.images, drawn.labels, strict=True)):
            place = folder / split / drawn.classes[int(label)].replace(" ", "-")
            place.mkdir(parents=True, exist_ok=True)
            pixels = np.ascontiguousarray(image.permute(1, 2, 0))
            Image.fromarray(pixels).save(place / f"{index}.png")
    return folder
