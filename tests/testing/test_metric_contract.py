"""Every registered metric keeps the contract, and the contract refuses broken metrics."""

import importlib
import pkgutil
import sys

import pytest
import torch

import regard.check.metric
from regard.check.metric import Metric, metrics
from regard.core.errors import InputError
from regard.testing import ContractViolation, check_metric, metric_checks
from regard.testing.explained import SIZE

for _module in pkgutil.iter_modules(sys.modules["regard.check"].__path__):
    importlib.import_module(f"regard.check.{_module.name}")

CONTRACT = [
    pytest.param(check, id=f"{name}-{check.name}")
    for name in metrics
    for _, check in metric_checks(name)
]


@pytest.mark.parametrize("check", CONTRACT)
def test_every_metric_keeps_the_contract(check):
    check()


def entry(measure, **changes):
    about = {"family": "faithfulness", "answers": "?", "better": "higher", "paper": "nobody"}
    return Metric("stranger", measure, **{**about, **changes})


def fall(case, maps, *, share=0.1):
    """A metric without fault: by how much the score falls without the strongest pixels."""
    size, count = case.size, round(share * maps[0].numel())
    strongest = maps.flatten(1).argsort(dim=1, descending=True, stable=True)[:, :count]
    kept = torch.ones(len(maps), maps[0].numel()).scatter(1, strongest, 0).unflatten(1, size)
    return case.clean - case.scores(len(maps), lambda at: case.image * kept[list(at), None])


def height(case, maps):
    """Another, in which place plays no part."""
    return maps.double().amax((1, 2))


def likeness(case, maps):
    """Another, which runs the method again."""
    return (maps * case.explained()).double().mean((1, 2))


def inside(case, maps):
    """Another, which needs the truth."""
    return (maps * case.truth).double().mean((1, 2))


def row_maxima(case, maps):
    return maps.double().amax(2)


def single(case, maps):
    return maps.float().amax((1, 2))


def number(case, maps):
    return float(maps.max())


def logarithm(case, maps):
    return maps.double().sum((1, 2)).log()


def over_the_maps(case, maps):
    values = fall(case, maps)
    return values / values.abs().max()


def by_its_number(case, maps):
    return height(case, maps) + torch.arange(len(maps))


def random_from_the_globe(case, maps):
    return height(case, maps) + torch.rand((), dtype=torch.float64)


def knows_the_chunk(case, maps):
    return height(case, maps) + case.chunk


def moves_the_generator(case, maps):
    torch.rand(1)
    return height(case, maps)


def writes_into_the_maps(case, maps):
    maps -= maps.amin((1, 2), keepdim=True)
    return height(case, maps)


def writes_into_the_image(case, maps):
    case.image.clamp_(0, 1)
    return height(case, maps)


def leaves_weights_shuffled(case, maps):
    weight = case.model.head.weight
    weight.data = weight.data.flip(1)
    return height(case, maps)


def leaves_training_on(case, maps):
    case.model.train()
    return height(case, maps)


def leaves_a_hook(case, maps):
    case.model.register_forward_hook(lambda *_: None)
    return height(case, maps)


def restores_after_success_only(case, maps):
    weight = case.model.head.weight
    kept, weight.data = weight.data, weight.data.flip(1)
    other = case.explained()
    weight.data = kept
    return (maps * other).double().mean((1, 2))


def restores_after_the_first_scores_only(case, maps):
    case.clean  # noqa: B018
    case.model.head.bias.requires_grad_(False)
    values = fall(case, maps)
    case.model.head.bias.requires_grad_(True)
    return values


def hides_exceptions(case, maps):
    try:
        return likeness(case, maps)
    except Exception:
        return torch.zeros(len(maps), dtype=torch.float64)


def swallows(case, maps, **options):
    return height(case, maps)


def looks_at_the_truth_if_there_is_one(case, maps):
    return height(case, maps) if case.truth is None else inside(case, maps)


def one_size_only(case, maps):
    return (maps * torch.ones(SIZE)).double().sum((1, 2))


def no_less_than_two(case, maps):
    return height(case, maps) if len(maps) > 1 else height(case, maps).log() * torch.nan


def shares_of_the_sum(case, maps):
    shares = maps.double().abs() / maps.double().abs().sum((1, 2), keepdim=True)
    return shares.amax((1, 2))


FAULTLESS = {
    fall: {"examples": ({}, {"share": 0.3})},
    height: {"place": False},
    likeness: {"place": False, "needs": ("explain",)},
    inside: {"needs": ("truth",)},
}


@pytest.mark.parametrize("measure", FAULTLESS)
def test_a_metric_without_fault_passes(measure):
    check_metric(entry(measure, **FAULTLESS[measure]))


NO_PLACE = {"place": False}


@pytest.mark.parametrize(
    ("measure", "check", "about"),
    [
        (row_maxima, "one_number_a_map", NO_PLACE),
        (single, "one_number_a_map", NO_PLACE),
        (number, "one_number_a_map", NO_PLACE),
        (logarithm, "one_number_a_map", NO_PLACE),
        (over_the_maps, "maps_independent", {}),
        (by_its_number, "maps_independent", NO_PLACE),
        (random_from_the_globe, "repeatable", NO_PLACE),
        (knows_the_chunk, "chunks_play_no_part", NO_PLACE),
        (random_from_the_globe, "leaves_no_trace", NO_PLACE),
        (moves_the_generator, "leaves_no_trace", NO_PLACE),
        (writes_into_the_maps, "leaves_no_trace", NO_PLACE),
        (writes_into_the_image, "leaves_no_trace", NO_PLACE),
        (leaves_weights_shuffled, "leaves_no_trace", NO_PLACE),
        (leaves_training_on, "leaves_no_trace", NO_PLACE),
        (leaves_a_hook, "leaves_no_trace", NO_PLACE),
        (
            restores_after_success_only,
            "leaves_no_trace_after_an_exception",
            {"place": False, "needs": ("explain",)},
        ),
        (restores_after_the_first_scores_only, "leaves_no_trace_after_an_exception", {}),
        (
            hides_exceptions,
            "leaves_no_trace_after_an_exception",
            {"place": False, "needs": ("explain",)},
        ),
        (fall, "better_where_the_answer_is", {"better": "lower"}),
        (height, "better_where_the_answer_is", {}),
        (fall, "place_plays_no_part", NO_PLACE),
        (fall, "asks_once", {"asks_once": True}),
        (swallows, "unknown_option", NO_PLACE),
        (likeness, "needs_declared", NO_PLACE),
        (inside, "needs_declared", {}),
        (looks_at_the_truth_if_there_is_one, "needs_declared", {}),
        (height, "needs_used", {"place": False, "needs": ("explain",)}),
        (likeness, "needs_used", {"place": False, "needs": ("classes",)}),
        (height, "needs_used", {"place": False, "needs": ("truth",)}),
        (one_size_only, "any_size", {}),
        (no_less_than_two, "any_size", NO_PLACE),
        (shares_of_the_sum, "constant_maps", NO_PLACE),
    ],
)
def test_a_broken_metric_is_refused(measure, check, about):
    checks = dict(metric_checks(entry(measure, **about)))
    with pytest.raises(ContractViolation, match=f"'stranger' breaks '{check}'"):
        checks[check]()


def test_the_message_names_the_options():
    with pytest.raises(ContractViolation, match=r"with \{'share': 0.3\} breaks .* lower is better"):
        check_metric(entry(fall, better="lower"), options={"share": 0.3})


def test_an_unknown_metric_is_named():
    with pytest.raises(InputError, match="deletion"):
        check_metric("deletions")


def test_a_registered_metric_is_enrolled():
    regard.check.metric.register(
        "height", family="complexity", answers="?", better="higher", paper="us", place=False
    )(height)
    try:
        check_metric("height")
    finally:
        metrics.remove("height")
