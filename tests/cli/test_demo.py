"""The demonstration: pages that point at what was written, and numbers that are the model's."""

import re

import pytest
import torch
from PIL import Image

import regard as package
from regard.core.packages import require

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    require("onnx", extra="photo")
    from regard.cli.main import run

    folder = tmp_path_factory.mktemp("demo")
    assert run(["demo", "--out", str(folder)]) == 0
    return folder


def test_the_page_asks_for_nothing_that_is_not_beside_it(shown):
    page = (shown / "index.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {"walk.html", "cat.png", "astronaut.png", "coffee.png"} <= set(links)
    assert all((shown / link).is_file() for link in links)


def test_the_page_says_where_attention_is_strongest(shown):
    data = require("skimage.data", extra="photo")
    model = package.load("photo:dinov2-small")
    picture = Image.fromarray(data.astronaut())
    with package.capture(model) as seen, torch.no_grad():
        model(model.prepare(picture))
    record = list(seen.values())[-1]
    mean = record.operator.dense()[0, :, 0].mean(0)[1:]
    row, col = divmod(int(mean.argmax()), 37)
    words = re.sub(r"\s+", " ", (shown / "index.html").read_text())
    assert (
        f"strongest at row {row + 1}, column {col + 1} ({mean.max() * 1370:.0f}× uniform)" in words
    )
