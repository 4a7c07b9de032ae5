"""Every registered mechanism computes what its paper says: equal to its slow float64 twin."""

import importlib

import numpy as np
import pytest
import torch

import regard.attention
from regard.attention.registry import mechanisms
from regard.core.seeding import seeded

CASES = [
    pytest.param(name, options, id=f"{name}-{options}")
    for name, mechanism in mechanisms.items()
    for options in mechanism.examples
]


def twin_of(name):
    """Return the reference function; a mechanism without a twin fails here."""
    return getattr(importlib.import_module(f"tests.reference.attention.{name}"), name)


def randomise(module):
    """Give every parameter and statistic a random value, so that no term is hidden by a zero."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.normal_(0, 0.5)
            if "running_var" in name:
                tensor.abs_().add_(0.5)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_equals_the_slow_twin(name, options):
    mechanism = mechanisms[name]
    with seeded(0):
        module = regard.attention.create(name, 8, **options).double().eval()
        randomise(module)
        inputs = [torch.randn(2, 8, 6, 4, dtype=torch.float64)]
        if mechanism.context:
            channels = options.get("context_channels", 8)
            inputs.append(torch.randn(2, channels, 3, 5, dtype=torch.float64))
        with torch.no_grad():
            ours = module(*inputs).numpy()
    weights = {key: value.numpy() for key, value in module.state_dict().items()}
    for image in range(2):
        theirs = twin_of(name)(weights, *(x[image].numpy() for x in inputs), **options)
        np.testing.assert_allclose(ours[image], theirs, rtol=1e-9, atol=1e-10)
