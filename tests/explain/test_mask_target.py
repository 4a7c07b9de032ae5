"""A mask, a region and a pixel are explained by the pixels that they rest on."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.explain.spots import SIDE, Halves, inside, picture
from tests.reference.explain import dense as twin

import regard
from regard.core.errors import InputError
from regard.explain import ClassMask, Pixel, Region
from regard.explain.mask_target import dense_scores, overlap

# The largest mask is background; then three cells of red, then one of green.
IMAGE = picture(r01=1.0, r02=1.0, r11=1.0, g33=1.0)
RED, GREEN = inside((0, 1), (0, 2), (1, 1)), inside((3, 3))


def seen(target=None, method="input_x_gradient", **options):
    return regard.see(Halves(), IMAGE, target=target, method=method, check=False, **options)


def logits(seed=0, batch=2, classes=3, side=5):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(batch, classes, side, side, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("target", "region"),
    [
        (None, RED),
        ("top-1", RED),
        ("top-2", GREEN),
        ("green", GREEN),
        (2, GREEN),
        ("@24,24,32,32", GREEN),
        ("red@0,0,32,16", inside(*[(row, col) for row in (0, 1) for col in range(4)])),
        (ClassMask("red", measure="iou"), None),
    ],
)
@pytest.mark.parametrize("method", ["saliency", "hires_cam"])
def test_a_region_rests_on_its_own_pixels(target, region, method):
    found = seen(target, method, **({"site": "head"} if method == "hires_cam" else {}))
    shown = np.abs(found.map) > 1e-9
    if region is None:  # what is gained around the region counts, too
        assert shown[~RED.numpy()].any()
    else:
        assert np.array_equal(shown, region.numpy() & shown)
        assert shown[region.numpy()].mean() > 0.9


def test_one_pixel_rests_on_itself():
    found = seen("@10,3", "saliency")
    assert found.target == "red at 31% from the left and 9% from the top"
    assert np.argwhere(found.map > 0).tolist() == [[3, 10]]
    assert np.array_equal(np.argwhere(found.outline), [[3, 10]])
    named = seen("green@10,3", "saliency")
    assert named.target.startswith("green at")
    assert np.argwhere(named.map > 0).tolist() == [[3, 10]]


def test_what_is_explained_is_said_and_drawn():
    found = seen()
    assert found.target == "the mask of red"
    assert found.chosen[0].startswith("the mask of red (")
    assert found.chosen[0].endswith("the largest mask that is not background")
    assert np.array_equal(found.outline, RED.numpy())
    ((label, sure),) = found.prediction
    assert label == "red"
    share = Halves()(IMAGE).softmax(1)[0, 1][RED].mean()
    assert sure == pytest.approx(float(share.detach()), abs=1e-6)
    assert not seen("red").chosen
    # Where there is nothing else, background it is.
    empty = regard.see(Halves(), picture(), method="saliency", check=False)
    assert empty.target == "the mask of background"


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_class_mask_is_the_sum_of_the_paper_and_its_overlap(index):
    clean, altered = logits(), logits(seed=1)
    summed = ClassMask(index).score(clean, ())
    shared = ClassMask(index, measure="iou").score(clean, ())
    for image in range(2):
        mask = twin.class_mask(clean[image].tolist(), index)
        rows = altered.tolist()
        expected = [twin.summed(row, index, mask) for row in rows]
        assert summed(altered, image).tolist() == pytest.approx(expected)
        expected = [twin.overlap(row, index, mask) for row in rows]
        assert shared(altered, image).tolist() == pytest.approx(expected)
        # Where the class is surely and nowhere else, it is 1.
        sure = torch.full_like(clean[:1], -40.0)
        for row, col in mask:
            sure[0, index, row, col] = 40.0
        sure[0, (index + 1) % 3][sure[0, index] < 0] = 40.0
        assert float(shared(sure, image)) == pytest.approx(1.0)


def test_the_likeliest_class_of_a_region_and_a_pixel_is_its_own():
    clean = logits(batch=1)
    at = int(clean[0, :, 2, 4].argmax())
    pixel = Pixel(2 / 5, 4 / 5).score(clean, ())
    assert pixel.names == (f"class {at} at 80% from the left and 40% from the top",)
    assert float(pixel(clean)) == pytest.approx(float(clean[0, at, 2, 4]))
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[1:3, 2:] = True
    best = int(clean.softmax(1)[0][:, mask].mean(1).argmax())
    assert Region(None, mask).score(clean, ()).names == (f"class {best} in a region",)


def test_masks_of_queries_are_put_together_as_in_maskformer():
    generator = torch.Generator().manual_seed(0)
    classes = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    masks = torch.randn(2, 4, 5, 6, generator=generator, dtype=torch.float64)
    output = SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks)
    found = dense_scores(output).softmax(1)
    for image, row, col in ((0, 0, 0), (1, 4, 5), (1, 2, 3)):
        expected = twin.of_queries(classes[image].tolist(), masks[image, :, row, col].tolist())
        assert found[image, :, row, col].tolist() == pytest.approx(expected)


def test_overlap_falls_with_what_is_missing_and_what_is_too_much():
    region = torch.zeros(1, 4, 4)
    region[0, :2] = 1
    whole = torch.where(region.bool(), 9.0, -9.0)
    half, more = whole.clone(), whole.clone()
    half[0, 0], more[0, 2] = -9.0, 9.0
    values = [
        float(overlap(torch.stack([-one, one], 1), torch.tensor([1]), region))
        for one in (whole, half, more)
    ]
    assert values == pytest.approx([1, 1 / 2, 2 / 3], abs=1e-4)


@pytest.mark.parametrize("target", [None, "green", ClassMask("red", measure="iou")])
def test_a_right_map_is_faithful(target):
    model, image = Halves(), picture(r01=1.0, g33=1.0)
    found = regard.see(model, image, target=target, method="occlusion", window=8, stride=8)
    assert found.verdict.level == "faithful", found.verdict
    moved = torch.from_numpy(found.values).roll((12, 12), (0, 1))
    verdict = regard.check(regard.check.given(moved, model, image), model, image, target=target)
    assert verdict.level in ("no better than chance", "weak"), verdict


def test_deletion_is_measured_on_the_overlap():
    """Without the mask's pixels its overlap is gone; without others it stays."""
    model = Halves()
    right = regard.check.given(RED.float(), model, IMAGE)
    iou = ClassMask("red", measure="iou")
    verdict = regard.check(right, model, IMAGE, target=iou, depth="full")
    assert 0 <= verdict["deletion"].value < 0.3
    assert verdict["insertion"].value > 0.6
    assert verdict["deletion"].p_value <= 0.1


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("blue", "unknown class 'blue'"),
        ("top-4", "mask 3 does not exist: 2 classes are predicted"),
        ("red@3", "names no region; write CLASS@X,Y or"),
        ("red@40,3", "is outside of what the model looks at, 32×32 pixels"),
        ("red@5,5,5,9", "the mask of a region is empty"),
        (("red", "green"), "one class rather than another"),
        (Pixel(1.0, 0.5), "from 0 to below 1; got row 1.0"),
    ],
)
def test_regions_that_cannot_be_meant_are_one_line(target, match):
    with pytest.raises(InputError, match=match):
        seen(target)


def test_a_class_that_is_predicted_nowhere_is_refused():
    with pytest.raises(InputError, match="green is predicted nowhere in image 0"):
        regard.see(Halves(), picture(r01=1.0), target="green", check=False)


def test_the_maps_of_a_backbone_are_no_masks():
    """Without class names or a task, four axes may be features: their length is explained."""
    found = regard.see(torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, SIDE, SIDE), method="saliency")
    assert found.target == "the embedding"
    assert found.outline is None
