"""The page of a detector's figures says them, shows its mistakes, and fetches nothing."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from regard.core.detection_mistake import DetectionMistake
from regard.core.errors import InputError
from regard.show.detection_evaluation import drawn, html, write
from regard.show.precision_recall import Curve, curves_svg

LABELS = ("cell", "<disc>", "ring")
FIGURES = {
    "mAP50": 0.875,
    "interval": [0.8, 0.9],
    "mAP50_95": 0.5,
    "mAP50_95_interval": [None, None],
    "images": 1234,
    "per_class": {
        name: {
            "boxes": 3001,
            "AP50": 0.75,
            "interval": [0.7, 0.8],
            "AP50_95": 0.4,
            "AP50_95_interval": [0.3, 0.5],
            "best_threshold": 0.35,
            "precision": 0.9,
            "recall": 0.8,
        }
        for name in LABELS[:2]
    },
}


def mistake(kind="missed", side=600):
    return DetectionMistake(
        picture=np.zeros((side, side, 3), dtype=np.uint8),
        kind=kind,
        box=(10.0, 20.0, 110.0, 220.0),
        label=1,
        score=0.87,
        overlap=0.25,
        truth=((10.0, 20.0, 110.0, 220.0), (300.0, 300.0, 400.0, 400.0)),
        found=((200.0, 10.0, 280.0, 60.0),),
    )


def test_page(tmp_path):
    curves = [Curve(0, np.linspace(1, 0.5, 101), (0.9, 0.8)), Curve(1, np.zeros(101))]
    page = html(FIGURES, curves, [mistake(), mistake("false")], LABELS, title="Cells & discs")
    assert "0.875" in page
    assert "0.800 to 0.900" in page
    assert "1,234" in page
    assert "Cells &amp; discs" in page
    assert "Without a true box, and so without figures: ring." in page
    assert page.count("&lt;disc&gt;") >= 4
    assert "<disc>" not in page
    assert "best overlap 0.25" in page
    assert "score 0.87" in page
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert [Image.open(io.BytesIO(base64.b64decode(each))).size for each in pictures] == [
        (600, 600),
        (600, 600),
    ]
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert (
        write(FIGURES, curves, [], LABELS, tmp_path / "page.html").read_text().count("none.") == 2
    )


def test_boxes_are_where_they_belong():
    picture = drawn(mistake()).astype(int)
    red, white = (255, 45, 85), (255, 255, 255)
    assert tuple(picture[20, 60]) == tuple(picture[120, 10]) == red
    assert tuple(picture[219, 60]) == tuple(picture[120, 109]) == red
    assert tuple(picture[300, 350]) == tuple(picture[350, 399]) == white
    assert tuple(picture[10, 202]) == (0, 208, 255)
    assert tuple(picture[120, 60]) == tuple(picture[350, 350]) == (0, 0, 0)
    # A small picture is enlarged, and its boxes with it.
    small = DetectionMistake(
        np.zeros((50, 100, 3), dtype=np.uint8),
        "false",
        (10.0, 10.0, 40.0, 40.0),
        0,
        0.5,
        0.0,
        (),
        (),
    )
    assert drawn(small).shape == (250, 500, 3)
    assert tuple(drawn(small).astype(int)[50, 100]) == red


def test_curve_passes_through_its_points():
    svg = curves_svg([Curve(0, np.array([1.0, 0.5, 0.0]), (0.5, 0.5))], LABELS)
    points = re.search(r'points="([^"]+)"', svg)[1].split()
    dot = re.search(r'cx="([\d.]+)" cy="([\d.]+)"', svg).groups()
    # Recall 0, 0.5, then straight down.
    assert len(points) == 3
    assert points[1] == ",".join(dot)
    assert points[2].split(",")[0] == points[1].split(",")[0]


def test_bad_input():
    with pytest.raises(InputError, match="a mistake of class 1, but there are 1 class names"):
        html(FIGURES, [], [mistake()], LABELS[:1])
