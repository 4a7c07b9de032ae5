"""Class activation maps equal what the papers' equations give, cell by cell."""

import copy

import numpy as np
import pytest
import torch
from tests.explain.two_convolutions import explained, network, parts, same
from tests.reference.explain import class_activation as twin
from torch import nn

from regard.core.errors import InputError
from regard.core.seeding import RandomState
from regard.explain.ablation_cam import ablation_cam
from regard.explain.eigen_cam import eigen_cam
from regard.explain.explainer import methods
from regard.explain.finer_cam import finer_cam
from regard.explain.grad_cam import grad_cam
from regard.explain.grad_cam_plus_plus import grad_cam_plus_plus
from regard.explain.hires_cam import hires_cam
from regard.explain.layer_cam import layer_cam
from regard.explain.score_cam import score_cam
from regard.explain.targets import Contrast, resolve
from regard.explain.x_grad_cam import x_grad_cam

ALL = [
    ablation_cam,
    eigen_cam,
    finer_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    score_cam,
    x_grad_cam,
]


@pytest.mark.parametrize("method", [grad_cam, x_grad_cam, hires_cam, layer_cam])
@pytest.mark.parametrize("signed", [False, True])
def test_one_gradient_is_enough(method, signed):
    model, images = network(linear=False, signed=signed)
    maps = explained(method, model, images)
    for number in range(3):
        features, scores, gradients = parts(model, images, number)
        expected = getattr(twin, method.__name__)(features, gradients[scores.argmax()])
        same(maps.values[number], expected)


def test_grad_cam_plus_plus_from_the_derivatives_of_the_exponential():
    model, images = network()
    maps = explained(grad_cam_plus_plus, model, images, 2)
    for number in range(3):
        features, scores, _ = parts(model, images, number)
        derivatives = np.zeros((3, features.size))
        for place in range(features.size):
            moved = torch.zeros(features.size, dtype=torch.float64)
            moved[place] = 1
            step = torch.zeros((), dtype=torch.float64, requires_grad=True)
            at = torch.from_numpy(features) + step * moved.view(features.shape)
            value = model.head(at[None])[0, 2].exp()
            for order in range(3):
                (value,) = torch.autograd.grad(value, step, create_graph=True)
                derivatives[order, place] = value.item()
        expected = twin.grad_cam_plus_plus(features, *derivatives.reshape(3, *features.shape))
        # The factor exp(S) of the first derivative is left out of the map.
        same(maps.values[number] * np.exp(scores[2]), expected)


def test_grad_cam_plus_plus_of_small_gradients_needs_no_constant():
    model, images = network()
    features, _, gradients = parts(model, images, 0)
    with torch.no_grad():
        model.classes.weight *= 1e-5
    maps = explained(grad_cam_plus_plus, model, images, 2)
    slope = 1e-5 * gradients[2]
    expected = twin.grad_cam_plus_plus(features, slope, slope**2, slope**3)
    same(1e5 * maps.values[0], 1e5 * expected)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_eigen_cam(centred, signed):
    model, images = network(signed=signed)
    maps = explained(eigen_cam, model, images, centred=centred)
    for number in range(3):
        features, _, _ = parts(model, images, number)
        same(maps.values[number], twin.eigen_cam(features, centred), atol=1e-12)
    if not centred and not signed:
        assert maps.values.min() >= -1e-12, "features from 0 on give a map from 0 on"


def test_score_cam():
    model, images = network(linear=False)
    maps = explained(score_cam, model, images)
    for number in range(3):
        features, scores, _ = parts(model, images, number)

        best = scores.argmax()

        def score(image, best=best):
            with torch.no_grad():
                return float(model(torch.from_numpy(image)[None])[0, best])

        same(maps.values[number], twin.score_cam(features, images[number].numpy(), score))


@pytest.mark.parametrize("below", [False, True], ids=["score above 0", "score below 0"])
def test_ablation_cam(below):
    model, images = network(seed=1, linear=False)
    model.shifted = -9.0 if below else 9.0
    maps = explained(ablation_cam, model, images, 2)
    for number in range(3):
        features, scores, _ = parts(model, images, number)
        assert (scores[2] < 0) == below

        def score(features):
            with torch.no_grad():
                return float(model.head(torch.from_numpy(features)[None])[0, 2])

        same(maps.values[number], twin.ablation_cam(features, score))


@pytest.mark.parametrize(("alpha", "references"), [(0.6, 3), (1.0, 1), (0.6, 9)])
@pytest.mark.parametrize("target", [None, "top-3"])
def test_finer_cam(alpha, references, target):
    model, images = network(seed=5, linear=False)
    maps = explained(finer_cam, model, images, target, alpha=alpha, references=references)
    for number in range(3):
        features, scores, gradients = parts(model, images, number)
        wanted = int(np.argsort(-scores)[0 if target is None else 2])
        expected = twin.finer_cam(features, gradients, scores, wanted, alpha, references)
        same(maps.values[number], expected)


def test_finer_cam_of_nothing_taken_off_is_grad_cam():
    model, images = network()
    torch.testing.assert_close(
        explained(finer_cam, model, images, 1, alpha=0.0).values,
        explained(grad_cam, model, images, 1).values,
    )


def test_finer_cam_is_of_classes_only():
    model, images = network()
    for target in (Contrast(0, 1), lambda out: out[:, 0] * 2, lambda out: out.square().sum(1)):
        with pytest.raises(InputError, match="this target is no class"):
            explained(finer_cam, model, images, target)
    with pytest.raises(InputError, match="at least one class"):
        explained(finer_cam, model, images, references=0)
    model.classes = nn.Linear(6, 1).double()
    with pytest.raises(InputError, match="one class only"):
        explained(finer_cam, model, images)


def test_hires_cam_sums_to_the_score_less_its_bias():
    model, images = network()
    with torch.no_grad():
        bias = model.head(torch.zeros(1, 7, 3, 5, dtype=torch.float64))[0, 2]
        scores = model(images)[:, 2]
    torch.testing.assert_close(
        explained(hires_cam, model, images, 2).values.sum((1, 2)), scores - bias
    )


@pytest.mark.parametrize("method", ALL)
def test_a_batch_is_its_images_one_by_one(method):
    model, images = network(linear=False)
    together = explained(method, model, images).values
    for number in range(3):
        alone = explained(method, model, images[number : number + 1]).values
        torch.testing.assert_close(together[number], alone[0])


@pytest.mark.parametrize("method", ALL)
def test_the_model_and_the_random_state_are_left_as_they_were(method):
    model, images = network()
    before = copy.deepcopy(model.state_dict())
    requires = [parameter.requires_grad for parameter in model.parameters()]
    state = RandomState.now()
    explained(method, model, images)

    def fails(_output):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        method(model, images, resolve(fails, model(images)), site="stem")
    assert state.agrees_with(RandomState.now())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert requires == [parameter.requires_grad for parameter in model.parameters()]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("method", ALL)
def test_registered_as_what_they_are(method):
    entry = methods[method.__name__]
    assert entry.family == "activation"
    assert entry.class_specific == (method is not eigen_cam)
    model, images = network(signed=True)
    maps = explained(method, model, images)
    assert maps.kind == ("signed" if method in (hires_cam, eigen_cam) else "positive")
    assert maps.site == ("features",)
    if maps.kind == "positive":
        assert maps.values.min() >= 0
