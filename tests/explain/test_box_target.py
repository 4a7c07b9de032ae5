"""A box is explained by the pixels that it rests on, whatever form the detector returns it in."""

import numpy as np
import pytest
import torch
from tests.explain.spots import CELL, Spots, inside, picture
from tests.reference.explain import perturbation as twin

import regard
from regard.core.errors import InputError
from regard.explain import BoxTarget

# Surest: red in row 0, column 1; then green in row 2, column 3; then a faint red one.
IMAGE = picture(r01=1.0, b01=0.5, g23=0.9, r30=0.6)
BOXES = {"red": (7.5, -0.5, 16.5, 8.5), "green": (24, 16, 32, 24)}


def seen(target=None, method="input_x_gradient", **options):
    return regard.see(Spots(), IMAGE, target=target, method=method, **options)


@pytest.mark.parametrize(
    ("target", "row", "col"),
    [
        (None, 0, 1),
        ("top-1", 0, 1),
        ("top-2", 2, 3),
        ("green", 2, 3),
        (1, 2, 3),
        ("@24,16,32,24", 2, 3),
        ("green@23,15,32,25", 2, 3),
        (BoxTarget(rank=1, name="red"), 3, 0),
        (BoxTarget(box=(0.0, 24.0, 8.0, 32.0)), 3, 0),
    ],
)
@pytest.mark.parametrize("method", ["saliency", "hires_cam", "occlusion"])
def test_a_box_rests_on_its_own_pixels(target, row, col, method):
    options = {"hires_cam": {"site": "layer"}, "occlusion": {"window": CELL, "stride": CELL}}
    found = seen(target, method, check=False, **options.get(method, {}))
    assert np.array_equal(np.abs(found.map) > 1e-6, inside((row, col)).numpy())


def test_what_is_explained_is_said_and_drawn():
    found = seen(check=False)
    assert found.target == "red at (8, -0, 16, 8)"
    assert found.chosen[0].startswith("red at (8, -0, 16, 8) (98%): the box that the detector is")
    assert found.prediction[0][0] == "red"
    assert found.prediction[0][1] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-4)
    drawn = np.zeros((32, 32), dtype=bool)
    drawn[:8, 8:16] = True
    assert np.array_equal(found.outline, drawn)
    assert seen("green", check=False).chosen == ()


def test_all_places_count_by_the_likeness_of_the_paper():
    """Also those that are too unsure to be found."""
    images = torch.cat([IMAGE, picture(r01=0.4, g23=0.3), picture()])
    with torch.no_grad():
        output, copies = Spots()(IMAGE), Spots()(images)
    score = BoxTarget().score(output, Spots.labels)
    raw = copies.raw
    for image in range(3):
        shares = [[1 / (1 + np.exp(-x)) for x in row] for row in raw.logits[image].tolist()]
        rows = zip(raw.boxes[image].tolist(), shares, map(max, shares), strict=True)
        expected = twin.likeness((output[0]["boxes"][0].tolist(), (1.0, 0.0)), list(rows))
        assert float(score(copies, torch.tensor([0, 0, 0]))[image]) == pytest.approx(expected)
    assert not len(copies[2]["boxes"])
    assert float(score(copies, torch.tensor([0, 0, 0]))[2]) > 0


def test_the_parts_of_a_box():
    with torch.no_grad():
        output = Spots()(IMAGE)
        moved = Spots()(picture(r01=0.8, b01=0.75))
    parts = {
        part: float(BoxTarget(part=part).score(output, Spots.labels)(moved, 0))
        for part in ("class", "location", "left", "top", "right", "bottom")
    }
    assert parts["class"] == pytest.approx(1 / (1 + np.exp(-2.4)))
    assert parts["location"] == pytest.approx(
        twin.intersection_over_union(BOXES["red"], (7.25, -0.75, 16.75, 8.75))
    )
    # Further out is more.
    assert [parts[side] for side in ("left", "top", "right", "bottom")] == pytest.approx(
        [-7.25, 0.75, 16.75, 8.75]
    )
    name = BoxTarget(part="left").score(output, Spots.labels).names[0]
    assert name == "the left side of red at (8, -0, 16, 8)"


def test_a_side_rests_on_what_moves_it():
    """Blue moves it, and it has a gradient where the intersection over union has none."""
    image = IMAGE.clone().requires_grad_()
    for part, moves in (("right", True), ("location", False)):
        score = BoxTarget(part=part).score(Spots()(IMAGE), Spots.labels)
        (gradient,) = torch.autograd.grad(score(Spots()(image), 0).sum(), image)
        blue = gradient[0, 2].abs() > 0
        assert torch.equal(blue, inside((0, 1)) if moves else torch.zeros(32, 32).bool())


def test_each_image_of_a_batch_has_its_own_box():
    images = torch.cat([IMAGE, picture(g11=1.0)])
    found = regard.see_batch(Spots(), images, method="hires_cam", site="layer", check=False)
    assert [one.target.split(" ")[0] for one in found] == ["red", "green"]
    assert np.array_equal(found[1].map > 1e-6, inside((1, 1)).numpy())


def test_a_right_map_is_faithful_and_a_map_of_another_box_is_not():
    found = seen(method="input_x_gradient")
    assert found.verdict.level == "faithful", found.verdict
    # Another box is what it is compared with: the maps have nothing in common.
    assert found.verdict["class_contrast"].value < 0.1
    elsewhere = seen("green", check=False)
    verdict = regard.check(elsewhere, Spots(), IMAGE, target="red")
    assert verdict.level in ("no better than chance", "weak"), verdict


def test_a_method_that_knows_no_box_is_told_apart():
    found = seen(method="eigen_cam", site="layer")
    assert found.verdict["class_contrast"].value == pytest.approx(1.0)
    assert found.verdict.level != "faithful"


def test_an_unsure_box_is_undecided():
    image = picture(r01=0.3)
    found = regard.see(Spots(least=0.1), image, method="saliency")
    assert found.verdict.level == "undecided"
    assert "it gives red at (8, -0, 16, 8) 17%" in found.verdict.reason


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("blue", "unknown class 'blue'"),
        ("top-9", "box 8 does not exist: the detector found 3 boxes"),
        ("red@3,4", "names no box; write CLASS@LEFT,TOP,RIGHT,BOTTOM"),
        ("red@3,4,1,9", "has no area"),
        ("@3,4,-,9", "are no numbers with commas between"),
        ("@31,0,32,1", "needs the name= of its class"),
        (("red", "green"), "one class rather than another, red / green"),
    ],
)
def test_boxes_that_cannot_be_meant_are_one_line(target, match):
    with pytest.raises(InputError, match=match):
        seen(target, check=False)


def test_d_rise_is_for_detectors():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2)).eval()
    with pytest.raises(InputError, match="d_rise explains the boxes of a detector, and Sequential"):
        regard.see(model, IMAGE, method="d_rise", masks=4)
    found = seen("green", "d_rise", check=False, masks=200, cells=4)
    row, col = divmod(int(found.map.argmax()), 32)
    assert inside((2, 3))[row, col]


def test_a_place_means_nothing_to_a_classifier():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2)).eval()
    with pytest.raises(InputError, match="names a place, 1,2,3,4, which is explained of detectors"):
        regard.see(model, IMAGE, target="1@1,2,3,4", check=False)
