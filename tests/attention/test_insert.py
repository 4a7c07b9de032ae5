"""Mechanisms go behind modules of any network, change nothing at first, and then learn."""

import copy
import io
import pickle
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regard.attention import insert, register
from regard.attention.blended import Blended
from regard.attention.registry import mechanisms
from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import generator, seeded
from regard.testing.subject import uninstrumented


class Block(nn.Module):
    """Not a Sequential; adds its shortcut in place, as timm's blocks do."""

    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, 2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, 2)

    def forward(self, x):
        y = self.bn(self.conv(x))
        y += self.shortcut(x)
        return F.relu(y, inplace=True)


class Net(nn.Module):
    def __init__(self, channels_in=3):
        super().__init__()
        self.stem = Block(channels_in, 8)
        self.layer3 = nn.Sequential(Block(8, 8), Block(8, 16))
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        return self.fc(self.layer3(self.stem(x)).mean((2, 3)))


@pytest.fixture
def net():
    with seeded(0):
        return Net().eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=generator(1))


def awake(model):
    """Let the inserted mechanisms have an effect."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, Blended):
                module.gamma.fill_(0.5)
    return model


@cache
def timm_model(name):
    timm = require("timm", extra="zoo")
    with seeded(0):
        return timm.create_model(name, num_classes=10).eval()


# Places: a stage (a Sequential), blocks and a layer (hooked), a glob and a function.
PLACES = [
    "layer3",
    "stem",
    "layer3.1.bn",
    "layer3.*",
    lambda name, module: isinstance(module, nn.BatchNorm2d),
]


@pytest.mark.parametrize("where", PLACES, ids=["stage", "block", "layer", "glob", "function"])
@pytest.mark.parametrize("name", ["scaled_dot_product", "squeeze_excite"])
def test_the_output_is_unchanged_until_gamma_moves(net, images, name, where):
    before = net(images)
    assert insert(net, name, where) is net
    assert (net(images) - before).abs().max() < 1e-5
    assert (awake(net)(images) - before).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("network", "where", "places"),
    [
        ("resnet18", "layer3", 1),
        ("resnet18", "layer*.1", 4),
        ("efficientnet_lite0", "blocks.4", 1),
        ("efficientnet_lite0", "blocks.*.0", 7),
    ],
)
def test_timm_networks(network, where, places):
    model = copy.deepcopy(timm_model(network))
    images = torch.randn(1, 3, 64, 64, generator=generator(2))
    with torch.no_grad():
        before, maps_before = model(images), model.forward_intermediates(images)[1]
        insert(model, "squeeze_excite", where)
        assert (model(images) - before).abs().max() < 1e-5
        assert sum(isinstance(module, Blended) for module in model.modules()) == places
        awake(model)
        assert (model(images) - before).abs().max() > 1e-5
        assert not torch.equal(model.forward_features(images), maps_before[-1])
        maps_after = model.forward_intermediates(images)[1]
    assert [m.shape for m in maps_after] == [m.shape for m in maps_before]
    reductions = [feature["reduction"] for feature in model.feature_info]
    assert reductions == [feature["reduction"] for feature in timm_model(network).feature_info]


def test_the_first_step_moves_gamma_and_the_second_the_mechanism(net, images):
    insert(net, "scaled_dot_product", "layer3").train()
    added = net.layer3.attention
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    weight = added.mechanism.value.weight.clone()
    labels = torch.tensor([0, 1])

    def step():
        optimiser.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()

    step()
    assert added.gamma != 0
    assert torch.equal(added.mechanism.value.weight, weight)
    step()
    assert not torch.equal(added.mechanism.value.weight, weight)


def test_what_starts_as_the_identity_by_itself_is_not_held_there(net, images):
    before = net(images)
    insert(net, "non_local", "layer3")
    assert torch.equal(net(images), before)
    added = net.train().layer3.attention
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    start = {name: parameter.clone() for name, parameter in added.named_parameters()}
    for _ in range(2):
        optimiser.zero_grad()
        F.cross_entropy(net(images), torch.tensor([0, 1])).backward()
        optimiser.step()
    moved = {name for name, p in added.named_parameters() if not torch.equal(p, start[name])}
    assert {"norm.weight", "value.weight", "query.weight"} <= moved


def test_start_paper_is_the_mechanism_alone(net, images):
    twin = copy.deepcopy(net)
    insert(net, "squeeze_excite", "layer3", start="paper")
    mechanism = net.layer3.attention
    expected = twin.fc(mechanism(twin.layer3(twin.stem(images))).mean((2, 3)))
    torch.testing.assert_close(net(images), expected)


@pytest.mark.parametrize("where", ["layer3", "stem"])
def test_the_network_keeps_its_keys_and_its_modules(net, where):
    keys, first = net.state_dict().keys(), net.layer3[0]
    weights = copy.deepcopy(net.state_dict())
    insert(net, "squeeze_excite", where)
    assert keys < net.state_dict().keys()
    assert net.layer3[0] is first
    missing, unexpected = net.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert {key.split(".attention.")[0] for key in missing} == {where}


@pytest.mark.parametrize("where", ["layer3", "stem"])
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save", "state_dict"])
def test_copies_use_their_own_mechanism(net, images, where, how):
    insert(net, "squeeze_excite", where)
    expected = awake(net)(images)
    if how == "deepcopy":
        copied = copy.deepcopy(net)
    elif how == "pickle":
        copied = pickle.loads(pickle.dumps(net))  # noqa: S301
    elif how == "torch.save":
        file = io.BytesIO()
        torch.save(net, file)
        copied = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
    else:
        copied = insert(Net().eval(), "squeeze_excite", where)
        copied.load_state_dict(net.state_dict())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    torch.testing.assert_close(copied(images), expected, rtol=0, atol=0)


def test_compiles_whole(net, images):
    insert(net, "squeeze_excite", "stem")  # hooked
    insert(net, "squeeze_excite", "layer3")  # a child of a Sequential
    expected = awake(net)(images)
    torch.compiler.reset()
    with uninstrumented(), torch.no_grad():
        compiled = torch.compile(net, backend="aot_eager", fullgraph=True)(images)
    torch.testing.assert_close(compiled, expected)


def test_two_mechanisms_at_one_place_run_in_turn(net, images):
    before = net(images)
    for where in ("layer3", "stem"):
        insert(net, "squeeze_excite", where)
        insert(net, "scaled_dot_product", where)
        module = net.get_submodule(where)
        assert isinstance(module.attention_2, Blended)
    torch.testing.assert_close(net(images), before, rtol=0, atol=1e-5)
    for added in (net.stem.attention_2, net.layer3.attention_2):
        with torch.no_grad():
            added.gamma.fill_(1)
        now = net(images)
        assert not torch.allclose(now, before)
        before = now


def test_options_reach_the_mechanism(net):
    insert(net, "scaled_dot_product", "layer3", width=2)
    assert net.layer3.attention.mechanism.query.out_channels == 2


def test_precision_and_flags_follow_the_place(net):
    net.double()
    net.layer3.train()
    insert(net, "squeeze_excite", "layer3")
    insert(net, "squeeze_excite", "stem")
    assert {p.dtype for p in net.parameters()} == {torch.float64}
    assert net.layer3.attention.mechanism.training
    assert not net.stem.attention.mechanism.training


def test_input_size_and_example_input():
    class TakesTwo(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 8, 3)
            self.fc = nn.Linear(8 * 10 * 8, 2)

        def forward(self, x, scale=1.0):
            return self.fc(self.conv(x).flatten(1)) * scale

    for size in ({"input_size": (12, 10)}, {"input_size": (4, 12, 10)}):
        insert(TakesTwo(), "squeeze_excite", "conv", **size)
    insert(TakesTwo(), "squeeze_excite", "conv", example_input=(torch.zeros(1, 4, 12, 10), 2.0))
    with pytest.raises(InputError, match=r"\(1, 4, 224, 224\) and \(1, 4, 32, 32\).*input_size"):
        insert(TakesTwo(), "squeeze_excite", "conv")
    with pytest.raises(InputError, match="not both"):
        insert(TakesTwo(), "squeeze_excite", "conv", input_size=12, example_input=torch.zeros(1))


def snapshot(model):
    """Return everything that an insertion could leave behind."""
    return {
        "keys": list(model.state_dict()),
        "values": [tensor.clone().tolist() for tensor in model.state_dict().values()],
        "flags": [module.training for module in model.modules()],
        "hooks": [
            len(hooks)
            for module in model.modules()
            for hooks in (module._forward_hooks, module._forward_pre_hooks)
        ],
        "random": torch.get_rng_state().tolist(),
        "gradients": [parameter.requires_grad for parameter in model.parameters()],
    }


@pytest.fixture
def failing():
    """Register mechanisms that go wrong in a forward, for the time of a test."""

    class Fails(nn.Module):
        def __init__(self, channels):
            super().__init__()

        def forward(self, x):
            raise KeyError("mechanism")

    class NotFinite(Fails):
        def forward(self, x):
            return x / 0

    class Shrinks(Fails):
        def forward(self, x):
            return x[:, :, :1]

    for module in (Fails, NotFinite, Shrinks):
        register(module.__name__, kind="gate", paper="nobody")(module)
    yield
    for module in (Fails, NotFinite, Shrinks):
        mechanisms.remove(module.__name__)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"where": "layer4"}, "unknown place in Net 'layer4'; did you mean layer3"),
        ({"where": "*.*.*.*"}, r"where='\*.\*.\*.\*' matches no module of Net.*stem, layer3, fc"),
        ({"where": lambda name, module: False}, "matches no module"),
        ({"where": "fc"}, r"place 'fc' returns \(1, 5\), not a feature map"),
        ({"where": "*"}, "place 'fc' returns|place 'unused' did not run"),
        ({"where": "unused"}, "place 'unused' did not run"),
        ({"name": "squeeze_exite"}, "did you mean squeeze_excite"),
        ({"name": "scaled_dot_product", "widht": 2}, "did you mean width"),
        ({"name": "cross"}, "'cross' takes a second map"),
        ({"name": "attention_pool"}, "'attention_pool' returns a vector"),
        ({"start": "random"}, "unknown start 'random'"),
        ({"input_size": (5, 32, 32)}, r"failed on a probe input of shape \(1, 5, 32, 32\)"),
        ({"name": "NotFinite"}, "not finite behind 'layer3'"),
        ({"name": "Shrinks", "start": "paper"}, "must keep the shape"),
    ],
)
def test_a_refused_insertion_leaves_the_network_untouched(net, failing, request_, reason):
    net.unused = nn.Conv2d(3, 3, 1)
    net.layer3.train()
    before = snapshot(net)
    with pytest.raises(InputError, match=reason) as error:
        insert(net, **{"name": "squeeze_excite", **request_})
    assert "\n" not in str(error.value)
    assert snapshot(net) == before


def test_a_crash_inside_the_mechanism_leaves_the_network_untouched(net, failing):
    before = snapshot(net)
    with pytest.raises(KeyError, match="mechanism"):
        insert(net, "Fails", "layer3.*")
    assert snapshot(net) == before


def test_channels_that_the_second_place_refuses_leave_the_first_untouched(net):
    # 8 channels divide by 8 heads at the first block, 16 by 5 nowhere.
    before = snapshot(net)
    net.layer3[1].bn = nn.BatchNorm2d(16)
    with pytest.raises(InputError):
        insert(net, "multi_head", "layer3.*", num_heads=5)
    assert snapshot(net)["keys"] == before["keys"]
    assert snapshot(net)["hooks"] == before["hooks"]


def test_statistics_and_random_state_survive_the_probe(net):
    class Restless(nn.Module):
        """Draws numbers and counts its calls, in eval mode too."""

        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return x + torch.rand(1)

    net.train()
    net.restless = net.stem.shortcut = nn.Sequential(nn.Conv2d(3, 8, 1, 2), Restless())
    before = snapshot(net)
    insert(net, "simam", "layer3")
    after = snapshot(net)
    assert after["random"] == before["random"]
    assert net.restless[1].calls == 0
    assert all(
        torch.equal(m.running_mean, torch.zeros_like(m.running_mean))
        for m in net.modules()
        if isinstance(m, nn.BatchNorm2d)
    )
    assert all(module.training for module in net.modules())


def test_a_network_in_train_mode_is_probed_in_eval_mode(net):
    # From 8 pixels on, the last batch norm sees one value a channel, on which it refuses to train.
    insert(net.train(), "simam", "layer3", input_size=8)


def test_a_place_that_runs_its_children_itself_is_refused(net):
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            for child in self.children():
                x = child(x)
            return x

    model = nn.Sequential(Chain())
    with pytest.raises(InputError, match="ran 2 times where '0' ran 1 times"):
        insert(model, "simam", "0")
    assert list(model[0]._modules) == ["conv"]


def test_a_module_used_at_two_widths_is_refused():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.a, self.b = nn.ReLU(), nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1)

        def forward(self, x):
            return self.act(self.b(self.act(self.a(x))))

    with pytest.raises(InputError, match=r"several times, with \[4, 6\] channels"):
        insert(Shared(), "simam", "act")


def test_compiled_and_channels_last_models_are_refused(net):
    with pytest.raises(InputError, match="insert before compiling"):
        insert(torch.compile(net), "simam", "layer3")
    net.output_fmt = "NHWC"
    with pytest.raises(InputError, match="NHWC"):
        insert(net, "simam", "layer3")


def test_a_star_stays_within_one_part_of_a_name(net):
    insert(net, "simam", "layer3.*")
    assert [name for name, m in net.named_modules() if isinstance(m, Blended)] == [
        "layer3.0.attention",
        "layer3.1.attention",
    ]
