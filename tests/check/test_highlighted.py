"""Average drop and increase in confidence are the paper's, of a probability where there is one."""

import numpy as np
import pytest
import torch
from tests.reference.check import average_drop as twin
from torch import nn

from regard.check import average_drop, increase_in_confidence
from regard.check.case import Case
from regard.check.metric import metrics
from regard.check.probability import probability
from regard.core.errors import InputError
from regard.core.seeding import RandomState, seeded
from regard.explain.fill import fill_for
from regard.explain.mask_target import Region
from regard.explain.targets import Function, resolve

NAMES = tuple(
    module.__name__.rpartition(".")[2] for module in (average_drop, increase_in_confidence)
)
SIZE = (7, 9)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(classes=4):
    with seeded(0):
        layers = nn.Linear(3 * 7 * 9, 8), nn.GELU(), nn.Linear(8, classes)
        return nn.Sequential(nn.Flatten(), *layers).double().eval()


def a_case(model=None, target=1, image=None, **options):
    model = network() if model is None else model
    image = 3 * random(1, 3, *SIZE) if image is None else image
    with torch.no_grad():
        score = resolve(target, model(image), [])
    return Case(model, image, score, **options)


@pytest.mark.parametrize("fill", ["mean", "blur", 0.8])
@pytest.mark.parametrize("name", NAMES)
def test_they_are_the_paper_s(name, fill):
    maps = random(4, *SIZE, seed=1)
    maps[3] = 2.0
    values = []
    for target in range(4):
        case = a_case(target=target)

        def confidence(image, case=case, target=target):
            with torch.no_grad():
                logits = case.model(torch.from_numpy(image)[None])[0].tolist()
            return twin.softmax(logits)[target]

        found = metrics[name](case, maps, fill=fill)
        behind = fill_for(case.image, fill)[0].numpy()
        expected = [
            getattr(twin, name)(confidence, case.image[0].numpy(), one.numpy(), behind)
            for one in maps
        ]
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
        values += expected
    assert 0 < np.mean(values) < 1
    assert np.std(values) > 5e-4, "nothing to compare"


class Seen(nn.Module):
    """The mean of the image, as a score that is no class's."""

    def forward(self, x):
        return x.mean((1, 2, 3))[:, None, None, None]


def test_a_score_that_is_no_class_is_taken_as_it_is():
    image = torch.ones(1, 3, 4, 8, dtype=torch.float64)
    half = torch.zeros(1, 4, 8, dtype=torch.float64)
    half[:, :, :4] = 7.0
    region = Region(0, torch.ones(4, 8, dtype=torch.bool))
    case = a_case(Seen(), region, image)
    assert metrics["average_drop"](case, half).tolist() == [0.5]
    assert metrics["average_drop"](case, half, fill=-5).tolist() == [1.0]  # no more than all
    assert metrics["average_drop"](case, half, fill=3).tolist() == [0.0]
    assert metrics["increase_in_confidence"](case, half, fill=3).tolist() == [1.0]
    assert metrics["increase_in_confidence"](case, half, fill=1).tolist() == [0.0]
    below = a_case(Seen(), region, -image)
    assert metrics["increase_in_confidence"](below, half).tolist() == [1.0]
    with pytest.raises(InputError, match=r"a share of the score, which is -1 here; measure it"):
        metrics["average_drop"](below, half)


def logit(output):
    return output[:, 2]


def chance(output):
    return output.softmax(1)[:, 2]


def first_token(output):
    return output.last_hidden_state[:, 0, 0]


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_the_probability_of_a_class_is_found_behind_its_logit(classes):
    output = random(5, classes)
    for target in (1, None, "top-2", lambda out: out[:, classes - 1]):
        score = resolve(target, output[:1])
        index = int((score(output, 0)[0] == output[0]).nonzero())
        found = probability(score)
        torch.testing.assert_close(found(output, 0), output.softmax(1)[:, index])
        torch.testing.assert_close(found(output + 9, 0), found(output, 0))
        assert found.names == score.names


def test_other_scores_stay_what_they_are():
    output = random(5, 4)
    largest = Function(lambda out: out.amax(1))
    for target in ((0, 1), (3, 1), chance, largest):
        score = resolve(target, output[:1])
        assert torch.equal(probability(score)(output, 0), score(output, 0))
    tokens = random(5, 6, 4)
    score = resolve(lambda out: out[:, 0, 0], tokens)
    assert torch.equal(probability(score)(tokens, 0), tokens[:, 0, 0])


def test_a_function_of_all_that_the_model_returns_is_left_alone():
    def named(output):
        return output["logits"][:, 1]

    output = {"logits": random(5, 4)}
    assert torch.equal(probability(resolve(named, output))(output, 0), output["logits"][:, 1])


@pytest.mark.parametrize("name", NAMES)
def test_only_where_a_map_lies_between_its_ends_matters(name):
    maps = random(3, *SIZE, seed=1)
    found = metrics[name](a_case(), maps)
    torch.testing.assert_close(metrics[name](a_case(), 3 * maps - 8), found)


def test_a_truth_beats_the_truth_elsewhere():
    class Corner(nn.Module):
        def forward(self, x):
            there = x[:, :, :3, :3].mean((1, 2, 3))
            return torch.stack([2 * there, x[:, :, 3:, 3:].mean((1, 2, 3))], 1)

    image = torch.ones(1, 3, *SIZE, dtype=torch.float64)
    truth = torch.zeros(SIZE, dtype=torch.float64)
    truth[:3, :3] = 1
    maps = torch.stack([truth, truth.roll(3, 0), truth.roll((4, 4), (0, 1))])
    right, *elsewhere = metrics["average_drop"](a_case(Corner(), 0, image), maps).tolist()
    assert right < min(elsewhere)
    rises = metrics["increase_in_confidence"](a_case(Corner(), 0, image), maps).tolist()
    assert rises == [1.0, 0.0, 0.0]


def test_each_image_runs_once_and_no_more_at_a_time_than_asked():
    model, batches = network(), []
    case, maps = a_case(model, chunk=2), random(5, *SIZE, seed=1)
    model.register_forward_pre_hook(lambda _module, args: batches.append(len(args[0])))
    found = metrics["average_drop"](case, maps)
    assert batches == [1, 2, 2, 1]
    metrics["increase_in_confidence"](case, maps)
    metrics["average_drop"](case, 2 * maps[:1].repeat(3, 1, 1))
    assert batches == [1, 2, 2, 1]
    for number in range(5):
        alone = metrics["average_drop"](a_case(), maps[number : number + 1])
        torch.testing.assert_close(alone, found[number : number + 1])
    assert case.clean != float(found[0])  # the logit is still the case's own score
    torch.testing.assert_close(case.clean, float(model(case.image)[0, 1].detach()))
    assert metrics["average_drop"](case, maps[:0]).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_is_refused(name):
    maps = random(2, *SIZE, seed=1)
    for fill in ("road", "black"):
        with pytest.raises(InputError, match=f"fill is '{fill}'; choose 'mean', 'blur' or a num"):
            metrics[name](a_case(), maps, fill=fill)
    with pytest.raises(InputError, match="choose 'mean', 'blur' or a finite number"):
        metrics[name](a_case(), maps, fill=float("nan"))
    maps[1, 0, 0] = float("inf")
    with pytest.raises(InputError, match="it cannot cover an image"):
        metrics[name](a_case(), maps)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind(name):
    model = network().train()
    case, maps = a_case(model), random(2, *SIZE, seed=1)
    given, state = case.image.clone(), RandomState.now()
    found = metrics[name](case, maps)
    assert RandomState.now().agrees_with(state)
    assert torch.equal(case.image, given)
    assert not found.requires_grad
    assert all(module.training for module in model.modules())
