import sys

import numpy as np
import pytest
from PIL import Image
from tests.show.walks import KINDS, tokens, walk

from regard.core.errors import InputError
from regard.show import walk_pictures

# Matplotlib takes half a second a figure: the ordinary run draws one site of each sort.
QUICK = ("tokens", "channel gate")
CASES = [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]


@pytest.mark.parametrize("kind", CASES)
def test_every_stage_is_drawn_and_none_is_blank(kind, tmp_path):
    paths = walk_pictures.write(KINDS[kind](), tmp_path)
    stages = {path.stem.rsplit("-", 1)[-1] for path in paths}
    assert {"image", "features", "weights"} <= stages
    assert ("prediction" in stages) == (kind != "no class head")
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20, f"{path.name} is blank"


def test_the_picture_of_weights_shows_the_scale_of_uniform(tmp_path):
    """Uniform attention is drawn in the one colour in the middle of the bar."""
    site = tokens(heads=1)
    flat = type(site)(
        site.name, "exact", site.query_grid, site.key_grid,
        query=np.zeros_like(site.query), key=site.key,
    )  # fmt: skip
    walk_pictures.write(walk(flat, head=False), tmp_path)
    pixels = np.asarray(Image.open(tmp_path / "layer.attention-4-weights.png").convert("RGB"))
    middle = walk_pictures.times_uniform(16).colours(np.array([1.0]))[0] * 255
    close = (np.abs(pixels - middle).max(-1) <= 2).mean()
    assert close > 0.2


def test_pyplot_is_not_touched(tmp_path):
    before = "matplotlib.pyplot" in sys.modules
    walk_pictures.write(KINDS["channel gate"](), tmp_path)
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken"):
        walk_pictures.write(KINDS["tokens"](), tmp_path / "taken")
