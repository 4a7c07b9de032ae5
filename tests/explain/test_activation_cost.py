"""Class activation maps that run many copies: each once, few at a time, in enough precision."""

import pytest
import torch
from tests.explain.two_convolutions import Network, explained, network, same
from tests.reference.explain import class_activation as twin
from torch import nn

from regard.core.errors import InputError
from regard.core.seeding import seeded
from regard.explain import ablation_cam as ablation
from regard.explain import score_cam as masking
from regard.explain.ablation_cam import ablation_cam
from regard.explain.score_cam import score_cam
from regard.explain.targets import Likeliest, resolve


class Counting(Network):
    """Counts the images that its layers get."""

    def __init__(self):
        super().__init__()
        self.seen = []
        for name in ("stem", "places"):
            getattr(self, name).register_forward_pre_hook(
                lambda _module, args, name=name: self.seen.append((name, len(args[0])))
            )


def counted(method, model, images, **options):
    explained(method, model, images)  # finds the layer
    with torch.no_grad():
        score = resolve(None, model(images))
    model.seen.clear()
    maps = method(model, images, score, site="features", **options)
    return maps, [sum(count for name, count in model.seen if name == n) for n in ("stem", "places")]


def test_ablations_run_once_to_the_layer_and_skip_channels_of_zeros():
    with seeded(0):
        model, images = Counting().eval(), torch.randn(1, 3, 12, 20)
    # Seven channels, one of them zero everywhere, and the image as it is.
    maps, (below, above) = counted(ablation_cam, model, images)
    assert (below, above) == (1, 7)
    chunked, (below, above) = counted(ablation_cam, model, images, chunk=3)
    assert (below, above) == (3, 7)
    torch.testing.assert_close(chunked.values, maps.values)


def test_memory_of_ablations_is_bounded(monkeypatch):
    with seeded(0):
        model, images = Counting().eval(), torch.randn(1, 3, 12, 20)
    monkeypatch.setattr(ablation, "_MOST_NUMBERS", 2 * 7 * 15)
    _, (below, above) = counted(ablation_cam, model, images)
    assert (below, above) == (4, 7)
    assert max(count for name, count in model.seen if name == "places") == 2


def test_masks_run_once_each_and_empty_ones_together():
    with seeded(0):
        model, images = Counting().eval(), torch.randn(1, 3, 12, 20)
    maps, (below, _) = counted(score_cam, model, images, precision="float32")
    assert below == 1 + 5 + 1, "the image; five channels; the two constant ones together"
    chunked, _ = counted(score_cam, model, images, precision="float32", chunk=2)
    torch.testing.assert_close(chunked.values, maps.values)
    assert max(count for _, count in model.seen) == 2


class Wide(nn.Module):
    """A layer whose output goes two ways; one cannot be joined with copies of the other."""

    def __init__(self, join):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.features = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.classes = nn.Linear(8, 3)
        self.join = join

    def forward(self, x):
        x = self.stem(x)
        return self.classes(self.join(x, self.features(x)).tanh().mean((2, 3)))


def concatenated(beside, features):
    return torch.cat([beside, features], 1)


def written_into(beside, features):
    beside = beside.clone()
    beside += features
    return torch.cat([beside, beside], 1)


def folded(beside, features):
    both = torch.cat([beside.expand_as(features), features], 1)
    return both.reshape(len(beside), -1, *both.shape[1:]).mean(1)


@pytest.mark.parametrize("join", [concatenated, written_into, folded])
@pytest.mark.parametrize("chunk", [None, 2])
def test_copies_part_at_the_input_where_they_cannot_part_at_the_layer(join, chunk):
    with seeded(0):
        model, images = Wide(join).eval(), torch.randn(2, 3, 8, 12)
    maps = explained(ablation_cam, model, images, 1, chunk=chunk)
    for number in range(2):
        with torch.no_grad():
            beside = model.stem(images[number : number + 1])
            features = model.features(beside)[0].double().numpy()

            def score(features, beside=beside):
                with torch.no_grad():
                    kept = torch.from_numpy(features)[None].float()
                    return float(model.classes(model.join(beside, kept).tanh().mean((2, 3)))[0, 1])

            same(maps.values[number], twin.ablation_cam(features, score), rtol=1e-4, atol=1e-6)


def test_few_copies_run_at_once_from_the_input(monkeypatch):
    with seeded(0):
        model, images = Wide(concatenated).eval(), torch.randn(1, 3, 8, 12)
    whole = explained(ablation_cam, model, images, 1).values
    sizes = []
    model.stem.register_forward_pre_hook(lambda _module, args: sizes.append(len(args[0])))
    monkeypatch.setattr(ablation, "_FEW", 2)
    torch.testing.assert_close(explained(ablation_cam, model, images, 1).values, whole)
    assert max(sizes) == 2


def test_empty_chunks_are_refused():
    model, images = network()
    for method in (ablation_cam, score_cam):
        with pytest.raises(InputError, match=r"chunk is .* at least"):
            explained(method, model, images, chunk=0)


class Sensitive(Network):
    """Remembers in which precision its masked images ran."""

    def __init__(self):
        super().__init__()
        self.half = []

    def forward(self, x):
        self.half.append((len(x), torch.is_autocast_enabled("cpu")))
        return super().forward(x)

    def rows(self, half):
        return sum(count for count, was in self.half if was == half)


@pytest.fixture
def hardware(monkeypatch):
    monkeypatch.setattr(masking, "multiplies_bfloat16", lambda _device: True)


def sensitive(factor=1.0):
    with seeded(0):
        model, images = Sensitive().eval(), torch.randn(1, 3, 12, 20)
    with torch.no_grad():
        model.classes.weight *= factor
    return model, images, Likeliest().score(model(images), ())


@pytest.mark.usefixtures("hardware")
def test_masks_that_matter_run_again_in_single_precision():
    model, images, score = sensitive(factor=400)
    exact = score_cam(model, images, score, site="features", precision="float32").values
    model.half.clear()
    half = score_cam(model, images, score, site="features", precision="bfloat16").values
    assert model.rows(True) == 6
    assert (half - exact).abs().sum() > 1e-2 * exact.sum(), "bfloat16 alone is not good enough"
    model.half.clear()
    auto = score_cam(model, images, score, site="features", chunk=1)
    assert model.rows(True) == 6
    assert 1 < model.rows(False) < 1 + 6, "the image itself, and some of the masks"
    assert (auto.values - exact).abs().sum() < 2e-3 * exact.sum()
    assert auto.chosen


@pytest.mark.usefixtures("hardware")
def test_masks_whose_error_does_not_matter_run_once():
    model, images, score = sensitive(factor=1e-3)
    score_cam(model, images, score, site="features")  # finds the layer
    model.half.clear()
    score_cam(model, images, score, site="features", chunk=1)
    assert model.rows(False) == 2, "the image itself, and one mask to see how far scores are off"


class Shifted(Network):
    """All its scores are off by the same under half precision, which changes no weight."""

    def forward(self, x):
        half = torch.is_autocast_enabled("cpu")
        with torch.autocast("cpu", enabled=False):
            return super().forward(x) + 1.5e-3 * half


@pytest.mark.usefixtures("hardware")
def test_what_all_scores_are_off_by_does_not_matter():
    with seeded(0):
        model, images = Shifted().eval(), torch.randn(1, 3, 12, 20)
    exact = explained(score_cam, model, images, precision="float32").values
    auto = explained(score_cam, model, images, chunk=1).values
    torch.testing.assert_close(auto, exact, rtol=2e-5, atol=0)


def test_precision_is_the_models_own_without_hardware_or_for_other_types(monkeypatch):
    model, images, score = sensitive()
    monkeypatch.setattr(masking, "multiplies_bfloat16", lambda _device: False)
    model.half.clear()
    assert not score_cam(model, images, score, site="features").chosen
    assert model.rows(True) == 0
    monkeypatch.setattr(masking, "multiplies_bfloat16", lambda _device: True)
    model.double().half.clear()
    score_cam(model, images.double(), score, site="features")
    assert model.rows(True) == 0
    with pytest.raises(InputError, match="unknown precision 'float16'"):
        score_cam(model, images.double(), score, precision="float16")


class Viewing(Network):
    """Takes a view that only maps with channels first allow."""

    def head(self, features):
        return super().head(features.view(len(features), -1).view(features.shape))


def test_a_model_that_takes_views_gets_channels_first():
    with seeded(0):
        model, images = Viewing().eval(), torch.randn(2, 3, 12, 20)
    plain = Network().eval()
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(
        explained(score_cam, model, images, 0, precision="float32").values,
        explained(score_cam, plain, images, 0, precision="float32").values,
    )


def test_rounding_of_a_constant_channel_is_no_mask():
    constant = torch.full((1, 3, 5), 1.1)
    assert masking.stretched(constant, (50, 70)).abs().max() == 0
