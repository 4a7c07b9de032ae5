"""A small network whose features are known, and its maps."""

import numpy as np
import torch
from torch import nn

from regard.core.seeding import seeded
from regard.explain.targets import resolve


class Network(nn.Module):
    """Two convolutions, and a head that is linear at each place, or not even that.

    The first channel of `features` is 0 everywhere, the second 0.5 everywhere.
    """

    def __init__(self, *, linear=True, signed=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        last = nn.Conv2d(5, 7, 3, stride=2, padding=1)
        self.features = last if signed else nn.Sequential(last, nn.ReLU())
        self.places = nn.Conv2d(7, 6, (3, 5))
        self.classes = nn.Linear(6, 5)
        self.linear = linear
        self.shifted = 0.0
        with torch.no_grad():
            last.weight[:2] = 0
            last.bias[:2] = torch.tensor([0.0, 0.5])

    def forward(self, x):
        return self.head(self.features(self.stem(x).tanh()))

    def head(self, features):
        found = self.places(features).flatten(1)
        return self.classes(found if self.linear else found.tanh()) + self.shifted


def network(seed=0, **options):
    with seeded(seed):
        model = Network(**options).double().eval()
        return model, torch.randn(3, 3, 12, 20, dtype=torch.float64)


def explained(method, model, images, target=None, **options):
    """Return the maps of a method at `features`."""
    with torch.no_grad():
        score = resolve(target, model(images))
    return method(model, images, score, site="features", **options)


def parts(model, images, number):
    """Return the features of one image, their class scores, and the scores' gradients."""
    with torch.no_grad():
        features = model.features(model.stem(images[number : number + 1]).tanh())
    features.requires_grad_()
    scores = model.head(features)[0]
    gradients = [torch.autograd.grad(s, features, retain_graph=True)[0][0] for s in scores]
    return (
        features.detach()[0].numpy(),
        scores.detach().numpy(),
        torch.stack(gradients).numpy(),
    )


def same(got, expected, **options):
    assert np.abs(expected).max() > 1e-4, "nothing to compare"
    np.testing.assert_allclose(got.double().numpy(), expected, **({"rtol": 1e-9} | options))
