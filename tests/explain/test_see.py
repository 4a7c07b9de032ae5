"""Unchecked, `see` chooses well, says what it chose, refuses clearly, leaves nothing behind."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import regard
from regard.core.errors import InputError
from regard.models import NetworkSpec, build
from regard.testing.explained import SIZE, SmallCNN, SmallViT
from regard.testing.subject import uninstrumented

see = partial(regard.see, check=False)
see_batch = partial(regard.see_batch, check=False)


@pytest.fixture
def images():
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


class Normalised:
    """A preprocessing with something to undo."""

    def fit(self, picture):
        return picture.resize(SIZE[::-1])

    def __call__(self, picture):
        rgb = torch.from_numpy(np.array(self.fit(picture))).permute(2, 0, 1)[None] / 255
        return (rgb - 0.5) / 0.25

    def denormalise(self, images):
        return images * 0.25 + 0.5


def test_a_cnn_is_explained_at_its_last_stage(images):
    found = see(SmallCNN().eval(), images[:1])
    assert (found.method, found.site) == ("grad_cam", ("stage",))
    assert any("grad_cam" in reason for reason in found.chosen)


def test_a_transformer_is_explained_by_its_attention(images):
    found = see(SmallViT().eval(), images[:1])
    assert found.method == "gradient_rollout"
    assert found.site == ("blocks.0.attn", "blocks.1.attn")


def test_a_batch_has_its_own_predictions_and_maps(images):
    model = SmallCNN().eval()
    with torch.no_grad():
        model.head.weight.mul_(50)
        probabilities = model(images).softmax(1)
    both = see_batch(model, images, method="grad_cam")
    for found, image, row in zip(both, images, probabilities, strict=True):
        alone = see(model, image, method="grad_cam")
        np.testing.assert_allclose(found.values, alone.values, rtol=1e-4, atol=1e-6)
        assert found.target == f"class {int(row.argmax())}"
        assert found.prediction[0][1] == pytest.approx(float(row.max()), abs=1e-5)


def test_the_picture_is_what_the_model_saw():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    prepare = Normalised()
    wanted = np.array(prepare.fit(picture))
    from_picture = see(SmallCNN(), picture, preprocess=prepare, method="grad_cam")
    from_tensor = see(SmallCNN(), prepare(picture), preprocess=prepare, method="grad_cam")
    np.testing.assert_array_equal(from_picture.picture, wanted)
    assert np.abs(from_tensor.picture.astype(int) - wanted).max() <= 1


def test_an_unknown_normalisation_is_said(images):
    found = see(SmallCNN(), images[:1] * 3, method="grad_cam")
    assert any("normalised" in reason for reason in found.chosen)
    plain = see(SmallCNN(), images[:1].sigmoid(), method="grad_cam")
    assert not any("normalised" in reason for reason in plain.chosen)


def test_labels_name_the_target(images):
    labels = ["cat", "dog", "fox", "hen"]
    assert see(SmallCNN(), images[:1], target="fox", labels=labels).target == "fox"
    rather = see(SmallCNN(), images[:1], target=("fox", "hen"), labels=labels)
    assert rather.target == "fox rather than hen"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "grad_cap"}, "did you mean grad_cam"),
        ({"target": "fax", "labels": ["cat", "dog", "fox", "hen"]}, "did you mean fox"),
        ({"target": 4}, "class 4 does not exist"),
        ({"site": "nowhere"}, "unknown layer"),
        ({"site": "head"}, "no output of 'head'"),
        ({"strength": 3}, "strength"),
    ],
)
def test_wrong_wishes_are_refused(images, change, words):
    with pytest.raises(InputError, match=words):
        see(SmallCNN(), images[:1], **{"method": "grad_cam", **change})


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(1, 32, 24, 3), r"\(batch, 3, height, width\)"),
        (torch.zeros(3, 24), r"\(batch, 3, height, width\)"),
        (torch.full((1, 3, 8, 8), torch.nan), "finite"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "floating"),
        (Image.new("RGB", (8, 8)), "preprocess="),
        (np.zeros((8, 8, 3)), "preprocess="),
    ],
)
def test_wrong_images_are_refused(image, words):
    with pytest.raises(InputError, match=words):
        see(SmallCNN(), image)


def test_a_name_is_no_model(images):
    with uninstrumented(), pytest.raises(InputError, match=r"regard\.load"):
        see("bundled:cifar10-resnet20-attention", images[:1])


class Dictionary(nn.Module):
    """A model whose output is no tensor."""

    def __init__(self, key):
        super().__init__()
        self.network, self.key = SmallCNN(), key

    def forward(self, x):
        return {"other": x, self.key: self.network(x)}


def test_outputs_may_be_dictionaries(images):
    model = Dictionary("logits")
    inside = see(model.network, images[:1], method="grad_cam")
    found = see(model, images[:1], method="grad_cam")
    np.testing.assert_allclose(found.values, inside.values, rtol=1e-5)
    assert found.target == inside.target


def test_train_mode_is_restored(images):
    model = SmallCNN().train()
    before = model.stage[1].running_mean.clone()
    see(model, images[:1], method="grad_cam")
    assert all(module.training for module in model.modules())
    torch.testing.assert_close(model.stage[1].running_mean, before)


def test_the_bundled_model_is_explained():
    model = regard.load("bundled:cifar10-resnet20-attention")
    found = regard.see(model, Image.new("RGB", (64, 48), "teal"))
    assert found.model == "bundled:cifar10-resnet20-attention"
    assert found.picture.shape == (32, 32, 3)
    assert found.target in model.labels


@pytest.mark.parametrize(
    ("network", "attention", "method"),
    [
        ("conv_stem_vit", None, "gradient_rollout"),
        ("resnet20", "multi_head(num_heads=4)@layer3", "grad_cam"),
        ("resnet20", None, "grad_cam"),
    ],
)
def test_a_stem_of_convolutions_makes_no_cnn_and_one_attention_no_transformer(
    network, attention, method
):
    model = build(NetworkSpec(network, classes=3, attention=attention)).eval()
    (found,) = see_batch(model, torch.randn(1, 3, 32, 32))
    assert found.method == method
    assert found.chosen[0].startswith(f"{method}, because")
