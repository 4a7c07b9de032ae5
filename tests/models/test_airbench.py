"""The network of the speed record: whitened patches, identities to start with, logits over nine."""

import numpy as np
import pytest
import torch
from tests.reference.models import whitening as twin

from regard.core.errors import InputError
from regard.core.seeding import seeded
from regard.models import NetworkSpec, build
from regard.models.airbench import Airbench, WhiteningConv


def blurred(count=5, size=9):
    """Images whose neighbouring pixels and channels are alike, and whose mean is not nought."""
    with seeded(0):
        noise = torch.randn(count, 3, size, size) + torch.randn(count, 1, size, size) + 0.3
    return torch.nn.functional.avg_pool2d(noise, 2, stride=1)


def network(**options):
    with seeded(1):
        return Airbench(10, **options).eval()


def test_the_filters_whiten_as_their_twin_says():
    images, layer = blurred(), WhiteningConv(epsilon=0.01)
    layer.whiten(images)
    filters = layer.weight.double().numpy().reshape(24, 12)
    ours, covariance = filters[:12], twin.covariance(images)
    np.testing.assert_allclose(
        ours.T @ ours, twin.inverse(covariance + 0.01 * np.eye(12)), rtol=1e-4, atol=1e-4
    )
    spread = ours @ covariance @ ours.T
    np.testing.assert_allclose(spread, np.diag(np.diag(spread)), atol=1e-5)
    assert (np.diff(np.diag(spread)) < 0).all(), "the largest variance comes first"
    np.testing.assert_array_equal(filters[12:], -ours)


def test_whitened_patches_vary_alike_and_apart():
    images, layer = blurred(40), WhiteningConv(epsilon=1e-9)
    layer.whiten(images)
    with torch.no_grad():
        seen = layer(images)[:, :12].transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(
        seen @ seen.T / seen.shape[1], torch.eye(12, dtype=torch.float64), atol=1e-3, rtol=0
    )


def test_the_covariance_does_not_depend_on_how_many_are_held_at_a_time(monkeypatch):
    images, layers = blurred(7), [WhiteningConv(), WhiteningConv()]
    layers[0].whiten(images)
    monkeypatch.setattr("regard.models.airbench._CHUNK", 2)
    layers[1].whiten(images)
    torch.testing.assert_close(layers[0].weight.abs(), layers[1].weight.abs(), atol=1e-4, rtol=1e-3)


def test_images_without_a_patch_are_refused():
    for shape in ((0, 3, 4, 4), (1, 3, 1, 8)):
        with pytest.raises(InputError, match="have no patches of 2×2"):
            WhiteningConv().whiten(torch.zeros(shape))


def test_the_filters_are_fixed_and_gains_are_none():
    model = network()
    names = {name for name, _ in model.named_parameters()}
    assert "whitening.bias" in names
    assert not {"whitening.weight", "block1.norm1.weight"} & names
    assert {"whitening.weight", "block1.norm1.weight"} <= model.state_dict().keys()


def test_it_has_the_papers_number_of_parameters():
    # 1.97 million, there with the fixed filters and gains.
    assert sum(t.numel() for n, t in model_tensors(network())) / 1e6 == pytest.approx(
        1.97, abs=5e-3
    )


def model_tensors(model):
    return [(n, t) for n, t in model.state_dict().items() if n.endswith(("weight", "bias"))]


def test_convolutions_pass_on_what_comes_in_before_they_are_trained():
    model = network()
    with seeded(2):
        x = torch.randn(2, 24, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(model.block1.conv1(x)[:, :24], x)
        others = model.block1.conv1(x)[:, 24:]
    assert (others.std((0, 2, 3)) > 0.1).all(), "the other filters are random"


def test_logits_are_a_ninth_of_the_dense_layer_s():
    model = network()
    with seeded(3), torch.no_grad():
        x = torch.randn(2, 3, 32, 32)
        features = model.forward_features(x)
        assert features.shape[2:] == (3, 3), "what the paper's 3×3 pooling takes the largest of"
        largest = torch.nn.functional.max_pool2d(features, 3).flatten(1)
        torch.testing.assert_close(9 * model(x), model.fc(largest))


def test_the_width_is_the_paper_s_times_it():
    model = build(NetworkSpec("airbench", 10, options={"width": 0.5}))
    assert model.block1.conv1.weight.shape[0] == 32
    assert model.block3.conv2.weight.shape[:2] == (128, 128)
    with pytest.raises(InputError, match="width must be above"):
        network(width=0.001)


def test_gates_go_behind_the_second_norm_of_each_block():
    model = build(NetworkSpec("airbench", 10, attention="eca"))
    names = [name for name, _ in model.named_modules() if name.endswith(".attention")]
    assert names == [f"block{number}.norm2.attention" for number in (1, 2, 3)]
