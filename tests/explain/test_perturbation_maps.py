"""Occlusion, RISE and D-RISE are what their papers say, and run no more than they need."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.reference.explain import perturbation as twin
from torch import nn

from regard.core.errors import InputError
from regard.core.seeding import RandomState, seeded
from regard.explain import altered_copies, d_rise, occlusion, rise
from regard.explain.altered_copies import Copies, scores_as_wanted, scores_of
from regard.explain.box_target import BoxTarget
from regard.explain.explainer import methods
from regard.explain.fill import blurred, fill_for
from regard.explain.occlusion import windows_over
from regard.explain.rise import RandomMasks
from regard.explain.targets import Function, resolve

MODULES = (occlusion, rise, d_rise)
NAMES = tuple(module.__name__.rpartition(".")[2] for module in MODULES)
QUICK = {"occlusion": {}, "rise": {"masks": 40}, "d_rise": {"masks": 40, "cells": 5}}
SHAPE = (3, 11, 8)


def pictures(count=2, seed=0, shape=SHAPE, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *shape, generator=generator, dtype=dtype)


def network(numbers=3 * 11 * 8, classes=4):
    with seeded(0):
        layers = nn.Linear(numbers, 8), nn.GELU(), nn.Linear(8, classes)
        return nn.Sequential(nn.Flatten(), *layers).double().eval()


def explained(name, model, images, target=None, **options):
    with torch.no_grad():
        score = resolve(target, model(images), [])
    return methods[name](model, images, score, **options)


def score_of(model, number):
    """One class's score of one image, for the twins."""

    def score(image):
        with torch.no_grad():
            return float(model(torch.from_numpy(image)[None])[0, number])

    return score


class Counting(nn.Module):
    """Counts the images that pass."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        return self.model(x)


class Patch(nn.Module):
    """The sum over rows 4 to 7 and columns 2 to 5, and its negative."""

    def forward(self, x):
        total = x[:, :, 4:8, 2:6].sum((1, 2, 3))
        return torch.stack([total, -total], 1)


@pytest.mark.parametrize(
    ("window", "stride", "fill"),
    [
        (3, 2, "mean"),  # the last windows are cut off by the edge
        ((4, 2), (4, 2), 0.7),
        ((11, 8), 1, "mean"),  # one window
        (4, (1, 3), "blur"),
    ],
)
def test_occlusion_is_the_mean_fall_over_windows(window, stride, fill):
    model, images = network(), pictures()
    found = explained("occlusion", model, images, 2, window=window, stride=stride, fill=fill)
    fills = fill_for(images, fill)
    window, stride = ((x, x) if isinstance(x, int) else x for x in (window, stride))
    for number in range(2):
        expected = twin.occlusion(
            score_of(model, 2), images[number].numpy(), fills[number].numpy(), window, stride
        )
        np.testing.assert_allclose(found.values[number].numpy(), expected, atol=1e-12)
    assert found.kind == "signed"
    assert found.grid is None


def test_what_a_removed_pixel_becomes():
    images = pictures()
    assert not fill_for(images, "mean").any()
    assert (fill_for(images, 2) == 2).all()
    soft = blurred(images, 0.8)[1].numpy()
    np.testing.assert_allclose(soft, twin.blurred(images[1].numpy(), 0.8, 2), atol=1e-12)
    large = pictures(1, shape=(3, 48, 56))
    torch.testing.assert_close(fill_for(large, "blur"), blurred(large, 48 * 10 / 224))
    for wrong in (float("nan"), True):
        with pytest.raises(InputError, match=r"choose 'mean', 'blur' or a finite number"):
            fill_for(images, wrong)


def test_default_windows_are_thirteen_a_side_at_the_usual_size():
    model = Counting(Patch())
    images = pictures(1, shape=(1, 224, 224), dtype=torch.float32)
    found = explained("occlusion", model, images)
    assert sum(model.batches) == 1 + 1 + 13 * 13
    assert "windows of 32×32 pixels, every 16 down and 16 right" in found.chosen


def test_occlusion_is_signed_and_lies_where_the_model_looks():
    images = torch.ones(1, 3, 12, 8)
    seen, opposite = (
        explained("occlusion", Patch(), images, target, window=2, stride=2).values[0]
        for target in (0, 1)
    )
    expected = torch.zeros(12, 8)
    expected[4:8, 2:6] = 12.0  # 3 channels of a window of 4 pixels
    torch.testing.assert_close(seen, expected)
    torch.testing.assert_close(opposite, -expected)


def test_a_window_that_changes_nothing_does_not_run():
    model = Counting(Patch())
    images = torch.zeros(1, 3, 12, 8)
    images[..., 4:6, 2:4] = 1
    found = explained("occlusion", model, images, 0, window=2, stride=2)
    assert sum(model.batches[1:]) == 2  # the image, and the one window that is not empty
    assert found.values[0, 4:6, 2:4].unique().tolist() == [12.0]
    assert found.values.sum() == 48


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"window": 9}, "9×9 pixels does not fit an image of 11×8"),
        ({"window": 0}, "0×0 pixels does not fit"),
        ({"window": 3, "stride": 4}, "stride of 4 with windows of 3 pixels leaves some uncovered"),
        ({"window": 3, "stride": 0}, "stride of 0"),
    ],
)
def test_windows_that_do_not_cover_the_image_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        explained("occlusion", network(), pictures(), **options)


def test_a_stride_of_any_size_where_the_window_is_as_large_as_the_image():
    (one,) = windows_over((4, 4), (4, 4), (9, 9))
    assert (one.top, one.left, one.bottom, one.right) == (0, 0, 4, 4)


@pytest.mark.parametrize("cells", [1, 3, 8])
def test_masks_are_shifted_grids_scaled_up(cells):
    drawn = RandomMasks.draw(5, cells, 0.5, SHAPE[1:], seed=3)
    cell = [-(-side // cells) for side in SHAPE[1:]]
    shown = drawn.at(range(5), torch.device("cpu"))
    for grid, shift, mask in zip(drawn.grids, drawn.shifts, shown, strict=True):
        expected = twin.upsampled(grid.numpy(), cell, shift.tolist(), SHAPE[1:])
        np.testing.assert_allclose(mask[0].numpy(), expected, atol=1e-5)


def test_masks_keep_and_shift_as_asked():
    drawn = RandomMasks.draw(4000, 3, 0.25, (9, 12), seed=0)
    assert float(drawn.grids.mean()) == pytest.approx(0.25, abs=0.01)
    # A whole cell is a shift of none, but for the cells that are cut off.
    assert sorted(drawn.shifts[:, 0].unique().tolist()) == [0, 1, 2]
    assert sorted(drawn.shifts[:, 1].unique().tolist()) == [0, 1, 2, 3]
    again, other = (RandomMasks.draw(4000, 3, 0.25, (9, 12), seed=s) for s in (0, 1))
    assert torch.equal(drawn.grids, again.grids)
    assert torch.equal(drawn.shifts, again.shifts)
    assert not torch.equal(drawn.grids, other.grids)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rise", {"cells": 3}),
        ("rise", {"cells": 3, "centre": False, "keep": 0.3}),
        ("rise", {"cells": 4, "fill": 0.5, "seed": 2}),
        ("d_rise", {"cells": 5}),
    ],
)
def test_rise_is_the_paper_s_estimator(name, options):
    model, images = network(), pictures()
    found = explained(name, model, images, 1, masks=12, **options).values
    keep, fill = options.get("keep", 0.5), options.get("fill", 0.0)
    drawn = RandomMasks.draw(12, options["cells"], keep, SHAPE[1:], options.get("seed", 0))
    masks = drawn.at(range(12), torch.device("cpu"))[:, 0].double().numpy()
    for number in range(2):
        expected = twin.rise(
            score_of(model, 1),
            images[number].numpy(),
            fill,
            masks,
            keep,
            options.get("centre", True),
        )
        np.testing.assert_allclose(found[number].numpy(), expected, atol=1e-9)


def test_rise_finds_what_the_model_looks_at():
    images = torch.ones(1, 3, 12, 8)
    seen = explained("rise", Patch(), images, 0, masks=600, cells=4).values[0]
    opposite = explained("rise", Patch(), images, 1, masks=600, cells=4).values[0]
    torch.testing.assert_close(opposite, -seen)
    inside = torch.zeros(12, 8, dtype=torch.bool)
    inside[4:8, 2:6] = True
    far = torch.ones(12, 8, dtype=torch.bool)
    far[1:11, :] = False
    assert seen[inside].min() > 0
    # Seeing a pixel there is worth an expected half of the patch and more; far off, only noise.
    assert seen[inside].mean() > 5 * seen[far].abs().mean()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"masks": 0}, "masks is 0"),
        ({"cells": 9}, "cells is 9; an image of 11×8 pixels can have 1 to 8"),
        ({"keep": 1.0}, "keep is 1.0; it is a probability"),
        ({"keep": 0.0}, "keep is 0.0"),
    ],
)
def test_masks_that_cannot_be_drawn_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        explained("rise", network(), pictures(), **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_model_has_a_map_of_zeros(name):
    def constant(_output):
        return torch.full((len(_output),), 8.3)

    images = pictures(dtype=torch.float32)
    found = explained(name, network().float(), images, constant, **QUICK[name])
    torch.testing.assert_close(found.values, torch.zeros(2, 11, 8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_explained_alone_and_chunks_change_nothing(name):
    model, images = network(), pictures(3)
    together = explained(name, model, images, **QUICK[name]).values
    for number in range(3):
        alone = explained(name, model, images[number : number + 1], **QUICK[name]).values[0]
        torch.testing.assert_close(alone, together[number])
    for chunk in (1, 7, 1000):
        other = explained(name, model, images, chunk=chunk, **QUICK[name]).values
        torch.testing.assert_close(other, together)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_are_no_larger_than_asked(name):
    model, images = Counting(network()), pictures()
    explained(name, model, images, chunk=7, **QUICK[name])
    assert max(model.batches[1:]) == 7


@pytest.mark.parametrize("name", NAMES)
def test_a_chunk_has_at_least_one_copy(name):
    for images in (pictures(), pictures(dtype=torch.float32)):
        with pytest.raises(InputError, match="chunk is 0; at least one copy"):
            explained(name, network().to(images.dtype), images, chunk=0, **QUICK[name])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind(name):
    model, images = network(), pictures()
    given, state = images.clone(), RandomState.now()
    with torch.enable_grad():
        found = explained(name, model, images, **QUICK[name])
        assert torch.is_grad_enabled()
    assert RandomState.now().agrees_with(state)
    assert torch.equal(images, given)
    assert not found.values.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["rise", "d_rise"])
def test_a_seed_decides_the_map(name):
    model, images = network(), pictures()
    first, same, other = (
        explained(name, model, images, seed=seed, **QUICK[name]).values for seed in (4, 4, 5)
    )
    assert torch.equal(first, same)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_that_it_has_not_is_refused(name):
    with pytest.raises(InputError, match="site"):
        explained(name, network(), pictures(), site="auto")


class Viewing(nn.Module):
    """Takes a view of its map, which only works where images lie channel by channel."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.stem, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 9 * 6, 4)

    def forward(self, x):
        return self.head(self.stem(x).view(len(x), -1))


def test_a_model_that_minds_the_layout_in_memory():
    model, images = Viewing().eval(), pictures(dtype=torch.float32)
    with pytest.raises(RuntimeError), torch.no_grad():
        model(images.contiguous(memory_format=torch.channels_last))
    found = explained("occlusion", model, images, 0, window=4, stride=4).values
    expected = twin.occlusion(
        score_of(model, 0), images[0].numpy(), np.zeros(SHAPE), (4, 4), (4, 4)
    )
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


def test_an_error_of_the_model_is_its_own():
    def broken(_module, _args):
        raise RuntimeError("out of order")

    model, images = network(), pictures()
    with torch.no_grad():
        score = resolve(0, model(images), [])
    model.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="out of order"):
        methods["occlusion"](model, images, score)


class Rounding(nn.Module):
    """A sum whose error in bfloat16 is chosen: the last image's half precision is told apart."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.precisions = []

    def forward(self, x):
        half = torch.is_autocast_enabled("cpu")
        self.precisions += [half] * len(x)
        exact = x.flatten(1).sum(1, keepdim=True)
        wrong = torch.where(exact.int() % 2 == 0, self.error, -self.error)
        return exact + wrong if half else exact


COPIES = Copies(40, lambda numbers: torch.tensor([*numbers]).float().reshape(-1, 1, 1, 1))
COUNT = Function(lambda output: output[:, 0]).score(torch.zeros(1, 1), ())


def as_wanted(model, copies=COPIES, wanted="auto", tolerance=1.0):
    """Return the scores, why, and how many copies ran in half and in full precision."""
    scores, why = scores_as_wanted(model, copies, COUNT, 0, wanted, tolerance=tolerance)
    half = sum(model.precisions)
    return scores, why, (half, len(model.precisions) - half)


@pytest.mark.parametrize(
    ("share", "ran", "why"),
    [
        (0.09, (40, 8), "bfloat16 where it changes scores by at most 10% of their spread"),
        (0.11, (8, 40), "float32 where bfloat16 changes scores by over 10% of their spread"),
    ],
)
def test_auto_takes_bfloat16_where_its_error_is_small(monkeypatch, share, ran, why):
    monkeypatch.setattr(altered_copies, "multiplies_bfloat16", lambda _device: True)
    # Of the probes, whose scores are 0, 5, 10, …, 35, every other is too high, the rest too low.
    error = share * np.std(range(0, 40, 5)) / np.std([1, -1] * 4)
    scores, said, counted = as_wanted(Rounding(error), tolerance=0.1)
    # No copy runs twice in the precision that is taken.
    assert (said, counted) == ((why,), ran)
    off = (scores - torch.arange(40.0)).abs()
    torch.testing.assert_close(off, torch.full((40,), float(error) if ran[0] == 40 else 0.0))


def test_an_error_that_all_copies_share_is_taken_off(monkeypatch):
    monkeypatch.setattr(altered_copies, "multiplies_bfloat16", lambda _device: True)
    same = Copies(40, lambda numbers: COPIES.make([2 * number for number in numbers]))
    scores, _, counted = as_wanted(Rounding(3.0), same, tolerance=0.01)
    assert counted == (40, 8)
    torch.testing.assert_close(scores, 2 * torch.arange(40.0))


def test_bfloat16_is_left_where_it_is_slow_or_tells_nothing(monkeypatch):
    monkeypatch.setattr(altered_copies, "multiplies_bfloat16", lambda _device: True)
    flat = Copies(40, lambda numbers: torch.ones(len(numbers), 1, 1, 1))
    assert as_wanted(Rounding(0.0), flat)[2] == (8, 40)
    double = Copies(40, lambda numbers: COPIES.make(numbers).double())
    assert as_wanted(Rounding(0.0), double)[1:] == ((), (0, 40))
    monkeypatch.setattr(altered_copies, "multiplies_bfloat16", lambda _device: False)
    assert as_wanted(Rounding(0.0))[1:] == ((), (0, 40))


@pytest.mark.parametrize(("wanted", "ran"), [("float32", (0, 40)), ("bfloat16", (40, 0))])
def test_a_precision_that_was_asked_for_is_taken(wanted, ran):
    scores, why, counted = as_wanted(Rounding(0.0), wanted=wanted, tolerance=0.0)
    torch.testing.assert_close(scores, torch.arange(40.0))
    assert (why, counted) == ((), ran)


def test_what_a_score_makes_of_half_precision_is_not_rounded_again():
    """1000 is a bfloat16, 1001 is not."""

    class Half(nn.Module):
        def forward(self, x):
            return {"logits": torch.full((len(x), 1), 1000.0, dtype=torch.bfloat16)}

    more = Function(lambda output: output["logits"][:, 0] + 1)
    score = more.score({"logits": torch.zeros(1, 1)}, ())
    assert scores_of(Half(), COPIES, score, 0, precision="bfloat16").tolist() == [1001.0] * 40


LISTED = {
    "boxes": torch.tensor([[0.0, 0, 4, 4], [2, 2, 8, 6], [1, 1, 5, 5]]),
    "scores": torch.tensor([0.6, 0.9, 0.5]),
    "labels": torch.tensor([1, 3, 1]),
}
NONE_FOUND = {name: tensor[:0] for name, tensor in LISTED.items()}


def one_hot(label, classes=4):
    return [float(label == i) for i in range(classes)]


def test_likeness_to_a_box_in_a_list_of_dicts():
    found = [
        (box.tolist(), one_hot(label), float(score))
        for box, label, score in zip(
            *(LISTED[k] for k in ("boxes", "labels", "scores")), strict=True
        )
    ]
    for rank, place in ((0, 1), (1, 0), (2, 2)):
        score = BoxTarget(rank).score([LISTED], ())
        told = score([LISTED, NONE_FOUND], 0)
        moved = [(box, one_hot(2), sure) for box, _, sure in found]
        other = {**LISTED, "labels": torch.tensor([2, 2, 2])}
        wanted = found[place][:2]
        assert told.tolist() == pytest.approx([twin.likeness(wanted, found), 0.0])
        assert score([other], 0).tolist() == pytest.approx([twin.likeness(wanted, moved)])
    assert score.names == ("class 1 at (1, 1, 5, 5)",)


def test_likeness_counts_overlap_class_and_objectness():
    """The likest box is the best product, and not the best of any one of the three."""
    score = BoxTarget(box=(0, 0, 4, 4), name=1).score([LISTED], ())
    rows = {
        "boxes": torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 8]]),
        "scores": torch.tensor([0.3, 1.0, 0.8]),
        "labels": torch.tensor([1, 2, 1]),
    }
    assert score([rows], 0).tolist() == pytest.approx([0.4])
    # Apart along both sides: two negative overlaps are none.
    apart = {**rows, "boxes": rows["boxes"] + 20}
    assert score([apart], 0).tolist() == [0.0]


def detr(queries, seed=0, batch=1, classes=3):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, queries, classes + 1, generator=generator, dtype=torch.float64)
    boxes = 0.2 + 0.5 * torch.rand(batch, queries, 4, generator=generator, dtype=torch.float64)
    return SimpleNamespace(logits=logits, pred_boxes=boxes)


def as_found(output, image, activation):
    """A list of (box, class probabilities, objectness), by hand."""
    found = []
    for logits, (x, y, w, h) in zip(
        output.logits[image].tolist(), output.pred_boxes[image].tolist(), strict=True
    ):
        box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
        if activation == "softmax":
            powers = np.exp(logits) / np.exp(logits).sum()
            found.append((box, powers[:-1].tolist(), 1 - powers[-1]))
        else:
            odds = [1 / (1 + np.exp(-number)) for number in logits]
            found.append((box, odds, max(odds)))
    return found


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_likeness_to_a_box_of_detr(activation):
    output, copies = detr(5, batch=2), detr(5, seed=1, batch=3)
    score = BoxTarget(rank=1, activation=activation).score(output, ())
    for image in range(2):
        found = as_found(output, image, activation)
        second = sorted(found, key=lambda one: -max(one[1]))[1]
        expected = [
            twin.likeness(second[:2], as_found(copies, row, activation)) for row in range(3)
        ]
        assert score(copies, image).tolist() == pytest.approx(expected)
        as_dict = {"logits": copies.logits, "pred_boxes": copies.pred_boxes}
        assert score(as_dict, image).tolist() == pytest.approx(expected)


def test_a_box_by_class_or_drawn_by_hand():
    labels = ("nothing", "cat", "hare", "dog")
    named = BoxTarget(name="cat", rank=1).score([LISTED], labels)
    assert named.names == ("cat at (1, 1, 5, 5)",)
    drawn = BoxTarget(name="dog", box=(2, 2, 8, 6)).score([LISTED, NONE_FOUND], labels)
    assert drawn.names == ("dog at (2, 2, 8, 6)",) * 2
    assert drawn([LISTED], 1).tolist() == pytest.approx([0.9])
    shares = BoxTarget(name=2, box=(0.1, 0.2, 0.3, 0.4)).score(detr(4), ())
    assert shares.names == ("class 2 at (10%, 20%, 30%, 40%)",)


@pytest.mark.parametrize(
    ("target", "output", "match"),
    [
        (BoxTarget(3), [LISTED], "box 3 does not exist: the detector found 3 boxes in image 0"),
        (BoxTarget(-1), [LISTED], "box -1 does not exist"),
        (BoxTarget(), [LISTED, NONE_FOUND], "found 0 boxes in image 1"),
        (BoxTarget(name=7), [LISTED], "found 0 boxes of class 7"),
        (BoxTarget(name="cot"), [LISTED], "did you mean cat"),
        (
            BoxTarget(name=3, activation="softmax"),
            detr(2),
            "class 3 does not exist: the model knows 3 classes",
        ),
        (BoxTarget(box=(20, 20, 30, 30)), [LISTED], "needs the name= of its class"),
        (BoxTarget(1, name=1, box=(0, 0, 1, 1)), [LISTED], "takes no rank"),
        (BoxTarget(name=1, box=(1, 0, 1, 1)), [LISTED], "has no area"),
        (BoxTarget(), torch.zeros(1, 4), "a box cannot be explained in a Tensor"),
        (BoxTarget(), [{"boxes": LISTED["boxes"]}], "a detector returns a list of dicts"),
    ],
)
def test_boxes_that_are_not_there_are_refused(target, output, match):
    with pytest.raises(InputError, match=match):
        target.score(output, ("nothing", "cat", "hare", "dog"))


class Spots(nn.Module):
    """Finds a box of class 1 at the left and one of class 2 at the right, as sure as it is lit."""

    def forward(self, x):
        rows = []
        for image in x:
            left, right = image[:, 4:8, 2:6].mean(), image[:, 4:8, 10:14].mean()
            rows.append(
                {
                    "boxes": torch.tensor([[2.0, 4, 6, 8], [10, 4, 14, 8]]),
                    "scores": torch.stack([left, 0.9 * right]),
                    "labels": torch.tensor([1, 2]),
                }
            )
        return rows


@pytest.mark.parametrize(("rank", "here", "there"), [(0, 2, 10), (1, 10, 2)])
def test_d_rise_finds_what_a_box_rests_on(rank, here, there):
    images = torch.ones(2, 3, 12, 16)
    found = explained("d_rise", Spots(), images, BoxTarget(rank), masks=400, cells=8)
    seen = found.values[1]
    row, col = divmod(int(seen.argmax()), 16)
    assert 4 <= row < 8
    assert here <= col < here + 4
    other = seen[4:8, there : there + 4].abs().mean()
    assert seen[4:8, here : here + 4].mean() > 4 * other
