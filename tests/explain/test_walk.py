"""A walk keeps the model's own numbers, for every mechanism there is."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import regard.attention
from regard.attention.registry import mechanisms
from regard.capture import capture
from regard.core.errors import InputError
from regard.core.pipeline import GateSite, TokenSite
from regard.core.seeding import seeded
from regard.explain.walk import walk
from regard.models.preprocessing import Preprocessing

PREPROCESS = Preprocessing((16, 16), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


class Classifier(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.context = nn.Conv2d(8, 8, 2, 2)
        self.attention = regard.attention.create(name, 8)
        self.head = nn.Linear(8, 4)
        self.with_context = mechanisms[name].context

    def forward(self, x):
        x = self.stem(x).relu()
        x = self.attention(x, self.context(x)) if self.with_context else self.attention(x)
        return self.head(x.mean((2, 3)) if x.ndim == 4 else x)


def classifier(name):
    with seeded(0):
        model = Classifier(name).eval()
        for parameter in model.parameters():
            parameter.data.normal_(0, 0.4)
        return model


def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", sorted(mechanisms))
def test_every_mechanism_can_be_walked(name):
    model = classifier(name)
    found = walk(model, picture(), preprocess=PREPROCESS)
    with torch.no_grad():
        expected = model(PREPROCESS(picture()))[0].double().softmax(0).numpy()
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert found.left_out == ()
    assert found.sites
    for site in found.sites:
        assert site.off is not None
        assert site.off.probabilities.sum() == pytest.approx(1)
        if isinstance(site, GateSite):
            np.testing.assert_allclose(site.gate * site.value, site.output, rtol=1e-4, atol=1e-5)
        else:
            rows = [[site.row(h, q) for q in range(site.shape[1])] for h in range(site.shape[0])]
            np.testing.assert_allclose(np.array(rows) @ site.value, site.output, atol=1e-4)


def test_rows_and_entropies_are_those_of_the_record():
    model = classifier("multi_head")
    (site,) = walk(model, picture(), preprocess=PREPROCESS).sites
    assert isinstance(site, TokenSite)
    assert site.bias is not None, "the relative position bias belongs to the scores"
    with torch.no_grad(), capture(model) as seen:
        model(PREPROCESS(picture()))
    dense = seen["attention"].operator.dense()[0].double()
    for head in range(site.shape[0]):
        rows = np.stack([site.row(head, query) for query in range(64)])
        np.testing.assert_allclose(rows, dense[head].numpy(), atol=1e-6)
        expected = -(dense[head] * dense[head].log()).sum(-1)
        np.testing.assert_allclose(site.entropies(head), expected.numpy(), atol=1e-5)


def test_features_are_what_the_site_was_given():
    model = classifier("squeeze_excite")
    (site,) = walk(model, picture(), preprocess=PREPROCESS).sites
    with torch.no_grad():
        given = model.stem(PREPROCESS(picture())).relu()[0].numpy()
    np.testing.assert_allclose(site.features, given, atol=1e-6)
    assert site.sigma == "sigmoid"


class Twice(Classifier):
    """The same attention on two maps, the second half as large."""

    def forward(self, x):
        x = self.stem(x).relu()
        return self.head(self.attention(x).mean((2, 3)) + self.attention(self.half(x)).mean((2, 3)))

    def half(self, x):
        return nn.functional.avg_pool2d(x, 2)


@pytest.mark.parametrize("name", ["squeeze_excite", "multi_head"])
def test_each_call_of_a_site_has_its_own_features(name):
    with seeded(0):
        model = Twice(name).eval()
    first, second = walk(model, picture(), preprocess=PREPROCESS).sites
    with torch.no_grad():
        given = model.stem(PREPROCESS(picture())).relu()
    np.testing.assert_allclose(first.features, given[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(second.features, model.half(given)[0].numpy(), atol=1e-6)


def test_the_picture_is_what_the_model_looked_at():
    found = walk(classifier("eca"), picture(), preprocess=PREPROCESS)
    np.testing.assert_array_equal(found.picture, np.array(PREPROCESS.fit(picture())))
    tensor = PREPROCESS(picture())
    again = walk(classifier("eca"), tensor, preprocess=PREPROCESS)
    np.testing.assert_array_equal(found.picture, again.picture)


def test_windows_attend_within_themselves_and_have_no_place_as_one_grid():
    (site,) = walk(classifier("window"), picture(), preprocess=PREPROCESS).sites
    assert site.groups > 1
    assert site.query_grid is None
    assert site.head_name(0) == "group 1, head 1"
    assert site.head_name(site.shape[0] - 1).startswith(f"group {site.groups}, ")


def test_a_model_without_a_class_head_has_no_prediction():
    found = walk(classifier("eca"), picture(), preprocess=PREPROCESS, labels=())
    assert found.probabilities is None
    assert found.labels == ()
    assert found.off is None
    assert all(site.off is None for site in found.sites)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ("a", "b")}, "2 labels were given for the model's 4 classes"),
        ({"sites": "layer*"}, "unknown site"),
        ({"preprocess": None}, "preprocess="),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        walk(classifier("eca"), picture(), **{"preprocess": PREPROCESS} | options)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.rand(2, 3, 16, 16), "one image"),
        (torch.randn(1, 3, 16, 16), "not from 0 to 1"),
    ],
)
def test_tensors_that_are_no_image_are_refused(tensor, message):
    with pytest.raises(InputError, match=message):
        walk(classifier("eca"), tensor)


def test_the_model_is_left_as_it_was():
    model = classifier("cbam").train()
    walk(model, picture(), preprocess=PREPROCESS)
    assert all(module.training for module in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
