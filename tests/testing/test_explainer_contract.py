"""Every registered method keeps the contract, and the contract refuses broken methods."""

import pytest
import torch

import regard.explain
from regard.core.errors import InputError
from regard.explain.explainer import Explainer, Maps, methods
from regard.explain.grad_cam import grad_cam
from regard.testing import ContractViolation, check_explainer, explainer_checks

CONTRACT = [
    pytest.param(check, id=f"{name}-{check.name}")
    for name in methods
    for _, check in explainer_checks(name)
]


@pytest.mark.parametrize("check", CONTRACT)
def test_every_method_keeps_the_contract(check):
    check()


def entry(method, **changes):
    about = {"family": "gradient", "answers": "?", "paper": "nobody", **changes}
    return Explainer("stranger", method, **about)


def brightness(model, images, score, *, gain=1.0):
    """A method without fault, for any target the same."""
    return Maps(gain * images.abs().sum(1), "positive")


def negative(model, images, score):
    return Maps(images.sum(1), "positive")


def too_much(model, images, score):
    return Maps(images.abs().sum(1), "distribution", keys=10)


def transposed(model, images, score):
    return Maps(images.abs().sum(1).mT, "positive")


def not_finite(model, images, score):
    return Maps(images.sum(1).sqrt(), "signed")


def over_the_batch(model, images, score):
    values = images.abs().sum(1)
    return Maps(values / values.max(), "positive")


def random_from_the_globe(model, images, score):
    return Maps(images.abs().sum(1) + torch.rand(()), "positive")


def swallows(model, images, score, **options):
    return Maps(images.abs().sum(1), "positive")


def blind(model, images, score):
    return Maps(torch.ones(len(images), 4, 3), "positive")


def leaves_a_hook(model, images, score):
    model.register_forward_hook(lambda *_: None)
    return Maps(images.abs().sum(1), "positive")


def fills_gradients(model, images, score):
    score(model(images)).sum().backward()
    return Maps(images.abs().sum(1), "positive")


def leaves_training_on(model, images, score):
    model.train()
    return Maps(images.abs().sum(1), "positive")


def writes_into_images(model, images, score):
    images += 1
    return Maps(images.abs().sum(1), "positive")


def hides_exceptions(model, images, score):
    try:
        values = score(model(images)).detach()
    except Exception:
        values = torch.zeros(len(images))
    return Maps(values[:, None, None] * images.sum(1), "signed")


def forgets_autograd(model, images, score):
    torch.set_grad_enabled(False)
    values = score(model(images))
    torch.set_grad_enabled(True)
    return Maps(values[:, None, None] * images.sum(1), "signed")


def test_a_method_without_fault_passes():
    check_explainer(entry(brightness, class_specific=False, examples=({}, {"gain": 2.0})))


@pytest.mark.parametrize(
    ("method", "check", "about"),
    [
        (negative, "numbers_as_named", {"class_specific": False}),
        (too_much, "numbers_as_named", {"class_specific": False}),
        (transposed, "maps_one_per_image", {"class_specific": False}),
        (not_finite, "maps_one_per_image", {"class_specific": False}),
        (over_the_batch, "images_independent", {"class_specific": False}),
        (random_from_the_globe, "repeatable", {"class_specific": False}),
        (random_from_the_globe, "leaves_no_trace", {"class_specific": False}),
        (swallows, "unknown_option", {"class_specific": False}),
        (blind, "follows_the_image", {"class_specific": False}),
        (brightness, "follows_the_target", {}),
        (grad_cam, "follows_the_target", {"class_specific": False}),
        (leaves_a_hook, "leaves_no_trace", {"class_specific": False}),
        (fills_gradients, "leaves_no_trace", {"class_specific": False}),
        (fills_gradients, "frozen_parameters", {"class_specific": False}),
        (leaves_training_on, "leaves_no_trace", {"class_specific": False}),
        (writes_into_images, "leaves_no_trace", {"class_specific": False}),
        (hides_exceptions, "leaves_no_trace_after_an_exception", {}),
        (forgets_autograd, "leaves_no_trace_after_an_exception", {}),
    ],
)
def test_a_broken_method_is_refused(method, check, about):
    checks = dict(explainer_checks(entry(method, **about)))
    try:
        with pytest.raises(ContractViolation, match=check):
            checks[check]()
    finally:
        torch.set_grad_enabled(True)


def test_an_unknown_method_is_named():
    with pytest.raises(InputError, match="grad_cam"):
        check_explainer("grad_cap")


def test_a_registered_method_is_enrolled():
    regard.explain.register(
        "brightness", family="perturbation", answers="?", paper="us", class_specific=False
    )(brightness)
    try:
        check_explainer("brightness")
    finally:
        methods.remove("brightness")
