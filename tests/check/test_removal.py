"""Metrics that remove pixels in a map's order are what their papers say, and run nothing twice."""

import numpy as np
import pytest
import torch
from tests.reference.check import linear_imputation as dense
from tests.reference.check import removal as twin
from torch import nn

from regard.check import (
    comprehensiveness,
    deletion,
    insertion,
    linear_imputation,
    road,
    sufficiency,
    symmetric_relevance_gain,
)
from regard.check.case import Case
from regard.check.imputation import imputation
from regard.check.linear_imputation import NoisyLinearImputation, neighbour_weights
from regard.check.metric import metrics
from regard.check.removal import curve, shares, turns
from regard.core.errors import InputError
from regard.core.seeding import RandomState, seeded
from regard.explain.fill import fill_for
from regard.explain.targets import Function, resolve

MODULES = (
    deletion,
    insertion,
    symmetric_relevance_gain,
    road,
    comprehensiveness,
    sufficiency,
)
NAMES = tuple(module.__name__.rpartition(".")[2] for module in MODULES)
CURVES = tuple(name for name in NAMES if "steps" in metrics[name].options)
SHARES = ("road", "comprehensiveness", "sufficiency")
SIZE = (7, 9)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Counting(nn.Module):
    """Counts the images that pass."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        return self.model(x)


def network():
    with seeded(0):
        layers = nn.Linear(3 * 7 * 9, 8), nn.GELU(), nn.Linear(8, 4)
        return nn.Sequential(nn.Flatten(), *layers).double().eval()


def a_case(model=None, target=1, image=None, **options):
    model = network() if model is None else model
    image = random(1, 3, *SIZE) if image is None else image
    with torch.no_grad():
        score = resolve(target, model(image), [])
    return Case(model, image, score, **options)


def score_of(case):
    """The score of one image, for the twins."""

    def score(image):
        with torch.no_grad():
            return float(case.score(case.model(torch.from_numpy(image)[None]), 0))

    return score


class Planted(nn.Module):
    """The share of the marked pixels that are there: 1 for an image of ones."""

    def __init__(self, truth):
        super().__init__()
        self.truth = truth

    def forward(self, x):
        share = x.mean(1)[:, self.truth].mean(1)
        return torch.stack([share, 0 * share], 1)


def planted(truth, **options):
    image = torch.ones(1, 3, *truth.shape, dtype=torch.float64)
    return a_case(Planted(truth), 0, image, **options)


def square():
    truth = torch.zeros(10, 10, dtype=torch.bool)
    truth[2:6, 3:8] = True  # a fifth of the image
    return truth


@pytest.fixture
def silent(monkeypatch):
    """Noisy linear imputation without its noise."""
    monkeypatch.setattr(linear_imputation, "NOISE", 0.0)


FILLS = ("mean", "blur", "road", "sample", -0.7)


def both_fills(case, fill):
    """The options for ours, and the fill for the twins."""
    if fill == "road":
        return {"fill": fill}, dense.linear_imputation
    if fill == "sample":
        sample = random(3, *SIZE, seed=5)
        return {"fill": fill, "sample": sample}, sample.numpy()
    return {"fill": fill}, fill_for(case.image, fill)[0].numpy()


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("order", ["morf", "lerf"])
@pytest.mark.parametrize("name", ["deletion", "insertion"])
@pytest.mark.usefixtures("silent")
def test_curves_are_the_paper_s(name, order, fill):
    case, maps = a_case(), random(2, *SIZE, seed=1)
    options, filling = both_fills(case, fill)
    keep = name == "insertion"
    found = curve(case, maps, shares(5, None), order=order, keep=keep, **options)
    areas = [0, 0.2, 0.4, 0.6, 0.8, 1]
    expected = [
        getattr(twin, f"{name}_curve")(
            score_of(case), case.image[0].numpy(), one.numpy(), areas, filling, order
        )
        for one in maps
    ]
    assert np.std(expected) > 1e-4, "nothing to compare"
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "fill"),
    [(name, fill) for name in NAMES for fill in (("road",) if name == "road" else FILLS)],
)
@pytest.mark.usefixtures("silent")
def test_metrics_are_the_papers(name, fill):
    case, maps = a_case(), random(2, *SIZE, seed=1)
    options, filling = both_fills(case, fill)
    if name == "road":
        del options["fill"]
    areas = (0.05, 0.1, 0.35, 0.8)
    found = metrics[name](case, maps, areas=areas, **options)
    expected = [
        getattr(twin, name)(score_of(case), case.image[0].numpy(), one.numpy(), areas, filling)
        for one in maps
    ]
    assert min(map(abs, expected)) > 1e-5, "nothing to compare"
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_areas_by_default():
    case, maps = a_case(), random(1, *SIZE, seed=1)
    for name in CURVES:
        options = {} if name == "symmetric_relevance_gain" else {"order": "lerf"}
        found = metrics[name](case, maps, **options)
        twenty = metrics[name](case, maps, areas=[i / 20 for i in range(21)], **options)
        assert torch.equal(found, twenty)
    for name, areas in (("road", [i / 10 for i in range(1, 10)]), ("sufficiency", None)):
        areas = areas or [0.01, 0.05, 0.1, 0.2, 0.5]
        assert torch.equal(metrics[name](case, maps), metrics[name](case, maps, areas=areas))


def test_pixel_flipping_as_quantus_has_it():
    def probability(output):
        return output.softmax(1)[:, 2]

    case, maps = a_case(target=Function(probability)), random(2, *SIZE, seed=1)
    steps, fill = 9, float(case.image.min())
    areas = [step / steps for step in range(1, steps + 1)]
    found = (steps - 1) * metrics["deletion"](case, maps, areas=areas, fill=fill)
    image, score = case.image[0].numpy(), score_of(case)
    expected = [twin.pixel_flipping(score, image, one.numpy(), 7, fill) for one in maps]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


PLANTED = {
    # The score falls to 0 while the marked fifth is removed, and stays there.
    "deletion": 0.1,
    "insertion": 0.9,
    "symmetric_relevance_gain": 0.8,
    # At 1, 5, 10, 20 and 50 %: what share of the fifth is removed, or is not left.
    "comprehensiveness": (0.05 + 0.25 + 0.5 + 1 + 1) / 5,
    "sufficiency": 1 - (0.05 + 0.25 + 0.5 + 1 + 1) / 5,
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_truth_has_the_value_that_follows(name):
    truth = square()
    options = {"fill": "mean"} | ({"steps": 10} if name in CURVES else {})
    found = metrics[name](planted(truth), truth.double()[None], **options)
    assert found.tolist() == pytest.approx([PLANTED[name]], abs=1e-12)


def test_planted_truth_from_the_other_end():
    truth = square()
    case, maps = planted(truth), truth.double()[None]
    assert float(metrics["deletion"](case, maps, steps=10, order="lerf")) == pytest.approx(0.9)
    found = metrics["insertion"](case, maps, steps=10, order="lerf", fill=0)
    assert float(found) == pytest.approx(0.1)


@pytest.mark.parametrize("name", NAMES)
def test_truth_beats_truth_elsewhere(name):
    truth = square()
    with seeded(0):
        picture = torch.rand(1, 3, 10, 10, dtype=torch.float64)
    picture[..., truth] += 4
    maps = torch.stack([truth.double().roll(n, (0, 1)) for n in ((0, 0), (5, 0), (0, 5), (3, 3))])
    right, *elsewhere = metrics[name](a_case(Planted(truth), 0, picture), maps).tolist()
    for wrong in elsewhere:
        assert right > wrong if metrics[name].better == "higher" else right < wrong


@pytest.mark.parametrize("name", NAMES)
def test_only_the_order_of_a_map_matters(name):
    case, maps = a_case(), random(2, *SIZE, seed=1)
    maps[:, :2] = maps[:, :1, :1]  # equals stay equals
    found = metrics[name](case, maps, **metrics[name].quick)
    for other in (3 * maps - 1, maps.exp(), maps**3, maps.sigmoid()):
        fresh = a_case()  # which remembers nothing
        assert torch.equal(metrics[name](fresh, other, **metrics[name].quick), found)


def test_a_map_that_says_nothing_does_not_follow_the_rows_of_the_image():
    flat = torch.zeros(1, 10, 10, dtype=torch.float64)
    for line in (slice(0, 2), slice(8, 10)):
        truth = torch.zeros(10, 10, dtype=torch.bool)
        truth[line] = True
        found = [
            float(metrics["deletion"](planted(truth, seed=s), flat, steps=10)) for s in range(12)
        ]
        assert np.mean(found) == pytest.approx(0.5, abs=0.04)
        assert np.std(found) > 0.01
        case = planted(truth)
        assert float(metrics["symmetric_relevance_gain"](case, flat)) == 0
        assert float(metrics["road"](case, flat)) == 0


def test_turns_are_a_permutation_and_equals_are_shuffled():
    maps = torch.stack([torch.arange(63.0).reshape(SIZE) // 8, torch.zeros(SIZE)]).double()
    strongest, weakest = turns(maps, "morf", 3), turns(maps, "lerf", 3)
    for found in (strongest, weakest):
        assert found.flatten(1).sort().values.tolist() == [list(range(63))] * 2
    by_turn = maps[0].flatten()[strongest[0].flatten().argsort()]
    assert by_turn.tolist() == sorted(maps[0].flatten().tolist(), reverse=True)
    by_turn = maps[0].flatten()[weakest[0].flatten().argsort()]
    assert by_turn.tolist() == sorted(maps[0].flatten().tolist())
    assert torch.equal(strongest[1], weakest[1])
    assert not torch.equal(strongest[1].flatten(), torch.arange(63).int())
    assert torch.equal(turns(maps, "morf", 3), strongest)
    assert not torch.equal(turns(maps, "morf", 4), strongest)
    assert torch.equal(turns(maps[1:], "morf", 3)[0], strongest[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_map_is_measured_for_itself_and_chunks_change_nothing(name):
    metric, maps = metrics[name], random(3, *SIZE, seed=1)
    together = metric(a_case(), maps, **metric.quick)
    assert together.dtype == torch.float64
    assert together.std() > 1e-4
    for number in range(3):
        alone = metric(a_case(), maps[number : number + 1], **metric.quick)
        torch.testing.assert_close(alone, together[number : number + 1])
    for chunk in (1, 5, 1000):
        torch.testing.assert_close(metric(a_case(chunk=chunk), maps, **metric.quick), together)
    assert metric(a_case(), maps[:0], **metric.quick).shape == (0,)


def test_each_image_runs_once():
    model = Counting(network())
    case, maps = a_case(model, chunk=8), random(3, *SIZE, seed=1)
    model.batches.clear()
    metrics["deletion"](case, maps, steps=9)
    assert sum(model.batches) == 1 + 3 * 8 + 1  # as it is, the steps between, and nothing left
    assert max(model.batches) == 8
    model.batches.clear()
    metrics["deletion"](case, maps, steps=3)
    metrics["deletion"](case, maps.exp(), steps=9)
    metrics["deletion"](case, maps[:1].repeat(4, 1, 1), steps=9)
    metrics["comprehensiveness"](case, maps, areas=(1 / 9, 2 / 9))
    assert model.batches == []
    metrics["symmetric_relevance_gain"](case, maps, steps=9)
    assert sum(model.batches) == 3 * 8
    # Putting back what is strong is removing what is weak, from the other end.
    metrics["insertion"](case, maps, steps=9, fill="mean")
    metrics["sufficiency"](case, maps, areas=(1 / 9, 2 / 9))
    assert sum(model.batches) == 3 * 8


def test_the_untouched_image_is_not_run_for_metrics_that_do_not_ask_for_it():
    model = Counting(network())
    case = a_case(model)
    model.batches.clear()
    metrics["road"](case, random(2, *SIZE, seed=1), areas=(0.2, 0.5))
    assert sum(model.batches) == 2 * 2 * 2


def test_fills_are_told_apart():
    case, maps = a_case(), random(1, *SIZE, seed=1)
    first, second = random(2, 3, *SIZE, seed=5)
    found = {
        float(metrics["deletion"](case, maps, **options))
        for options in (
            {"fill": "mean"},
            {"fill": 0.5},
            {"fill": "blur"},
            {"fill": "road"},
            {"fill": "sample", "sample": first},
            {"fill": "sample", "sample": second[None]},
        )
    }
    assert len(found) == 6


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.97, 1.0])
@pytest.mark.parametrize("size", [(7, 9), (1, 6), (5, 1)])
def test_linear_imputation_is_the_dense_system_s(size, share):
    image = random(3, *size)
    removed = torch.rand(size, generator=torch.Generator().manual_seed(2)) < share
    removed[0, 0] = share > 0
    found = linear_imputation.linear_imputation(image, removed, neighbour_weights(*size))
    expected = dense.linear_imputation(image.numpy(), removed.numpy())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)
    assert torch.equal(found[:, ~removed], image[:, ~removed])


def test_linear_imputation_keeps_what_is_even():
    removed = torch.rand(40, 30, generator=torch.Generator().manual_seed(2)) < 0.8
    image = torch.full((2, 40, 30), 1.5, dtype=torch.float64)
    found = linear_imputation.linear_imputation(image, removed, neighbour_weights(40, 30))
    torch.testing.assert_close(found, image)


def test_noise_is_small_and_the_pixel_s_own():
    image = random(3, 40, 40).float()
    masks = torch.zeros(2, 40, 40, dtype=torch.bool)
    masks[0, :20], masks[1, 10:] = True, True
    noisy, again, other = (NoisyLinearImputation.of(image, seed)(masks) for seed in (0, 0, 1))
    assert torch.equal(noisy, again)
    assert not torch.allclose(noisy, other)
    weights = neighbour_weights(40, 40)
    noise = torch.stack(
        [
            copy.double() - linear_imputation.linear_imputation(image.double(), mask, weights)
            for copy, mask in zip(noisy, masks, strict=True)
        ]
    )
    both = masks.all(0)
    torch.testing.assert_close(noise[0][:, both], noise[1][:, both], atol=1e-6, rtol=0)
    assert float(noise[0][:, masks[0]].std()) == pytest.approx(0.01, rel=0.05)
    assert torch.equal(noisy[0][:, ~masks[0]], image[:, ~masks[0]])


@pytest.mark.parametrize(
    ("names", "options", "match"),
    [
        (CURVES, {"steps": 0}, "steps is 0; an image is taken away in at least 1"),
        (CURVES, {"steps": 4, "areas": (0, 1)}, "steps=4 and areas= say the same thing"),
        (CURVES, {"areas": (0.5,)}, "areas has 1 shares; a curve needs at least 2"),
        (NAMES, {"areas": (0.5, 0.5)}, "give shares of the image that rise from 0 to 1"),
        (NAMES, {"areas": (-0.1, 0.5)}, "give shares"),
        (NAMES, {"areas": (0.1, 10)}, "give shares"),
        (NAMES, {"areas": (0.1, float("nan"))}, "give shares"),
        (SHARES, {"areas": ()}, "give shares"),
        (SHARES, {"areas": (float("nan"),)}, "give shares"),
        (("deletion", "insertion"), {"order": "random"}, "unknown order 'random'; choose from"),
        (CURVES, {"fill": "black"}, "fill is 'black'; choose 'mean', 'blur', 'road', 'sample' or"),
        (CURVES, {"fill": float("inf")}, "choose 'mean', 'blur' or a finite number"),
        (CURVES, {"fill": True}, "fill is True"),
        (CURVES, {"fill": "sample"}, "fill='sample' and the image sample= go together"),
        (CURVES, {"sample": random(3, *SIZE)}, "go together"),
        (
            CURVES,
            {"fill": "sample", "sample": random(3, 4, 4)},
            r"sample is \(3, 4, 4\); it must be as the image, \(3, 7, 9\)",
        ),
        (("road",), {"fill": "mean"}, "unknown road option 'fill'"),
    ],
)
def test_options_that_cannot_be_are_refused(names, options, match):
    for name in names:
        with pytest.raises(InputError, match=match) as refused:
            metrics[name](a_case(), random(1, *SIZE, seed=1), **options)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_map_without_an_order_is_refused(name):
    maps = random(2, *SIZE, seed=1)
    maps[1, 2, 3] = float("nan")
    with pytest.raises(InputError, match="its pixels have no order"):
        metrics[name](a_case(), maps)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind(name):
    model = network().train()
    case, maps = a_case(model), random(2, *SIZE, seed=1)
    given, values, state = case.image.clone(), maps.clone(), RandomState.now()
    with torch.enable_grad():
        found = metrics[name](case, maps)
        assert torch.is_grad_enabled()
    assert RandomState.now().agrees_with(state)
    assert torch.equal(case.image, given)
    assert torch.equal(maps, values)
    assert not found.requires_grad
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_run_that_fails_is_not_remembered():
    case, maps = a_case(), random(2, *SIZE, seed=1)
    expected = metrics["deletion"](a_case(), maps)
    passed = []

    def failing(_module, _args):
        passed.append(1)
        if len(passed) == 3:
            raise RuntimeError("out of order")

    hook = case.model.register_forward_pre_hook(failing)
    with pytest.raises(RuntimeError, match="out of order"):
        metrics["deletion"](case, maps)
    hook.remove()
    torch.testing.assert_close(metrics["deletion"](case, maps), expected)


def test_imputations_leave_the_image_alone():
    case = a_case()
    given = case.image.clone()
    mask = torch.ones(1, *SIZE, dtype=torch.bool)
    for fill in ("mean", "blur", "road", 0.3):
        copies = imputation(case, fill)(mask)
        copies += 1
        assert torch.equal(case.image, given)
        assert torch.equal(imputation(case, fill)(~mask), given)
