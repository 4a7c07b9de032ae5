"""Every registered mechanism keeps the contract, and the contract refuses broken mechanisms."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import regard.attention
from regard.attention.registry import Mechanism, mechanisms
from regard.core.errors import InputError
from regard.testing import ContractViolation, check_mechanism, mechanism_checks


def contract(*, slow):
    """Return a pytest parameter for each check of each mechanism.

    Tracing takes a third of a second: the fast run compiles what the defaults build.
    """
    checks = []
    for mechanism in mechanisms:
        every = dict(mechanism_checks(mechanism))
        if slow:
            compiling = [("compiles_whole", every["compiles_whole"])]
            checks += [*compiling, *mechanism_checks(mechanism, slow=True)]
        else:
            plain = dict(mechanism_checks(mechanism, options={}))
            checks += (every | {"compiles_whole": plain["compiles_whole"]}).items()
    return [pytest.param(check, id=f"{check.entry.name}-{name}") for name, check in checks]


@pytest.mark.parametrize("check", contract(slow=False))
def test_every_mechanism_keeps_the_contract(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize("check", contract(slow=True))
def test_every_mechanism_keeps_the_slow_contract(check):
    check()


class Gate(nn.Module):
    """A mechanism without fault; each mutant below spoils one thing."""

    def __init__(self, channels, *, strength=1.0):
        super().__init__()
        self.strength = strength
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        return x * (self.strength * self.score(x)).sigmoid()


class IgnoresItsOption(Gate):
    def __init__(self, channels, *, strength=1.0):
        super().__init__(channels)


class SwallowsOptions(Gate):
    def __init__(self, channels, **options):
        super().__init__(channels, strength=options.get("strength", 1.0))


class MixesTheBatch(Gate):
    def forward(self, x):
        return super().forward(x) + x.mean(0, keepdim=True)


class ChangesItsInput(Gate):
    def forward(self, x):
        y = super().forward(x)
        with torch.no_grad():
            x.data.mul_(2)
        return y


class HasADeadParameter(Gate):
    def __init__(self, channels, *, strength=1.0):
        super().__init__(channels, strength=strength)
        self.unused = nn.Parameter(torch.ones(3))


class HasABiasOnItsKeys(nn.Module):
    """The commonest dead parameter: its gradient is not missing, but rounding."""

    def __init__(self, channels):
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        q, k, v = (y.flatten(2).mT for y in (self.query(x), self.key(x), x))
        return F.scaled_dot_product_attention(q, k, v).mT.unflatten(2, x.shape[2:])


class DividesByTheDeviation(Gate):
    def forward(self, x):
        deviation = x - x.mean((2, 3), keepdim=True)
        return super().forward(x) * deviation / deviation.square().mean((2, 3), True).sqrt()


class HasAnInfiniteGradient(Gate):
    def forward(self, x):
        return super().forward(x) * (1 + x.var((2, 3), correction=0, keepdim=True).sqrt())


class BranchesOnValues(Gate):
    def forward(self, x):
        return super().forward(x) if x.sum().item() > 1e9 else super().forward(x) + x


class ReturnsTheGate(Gate):
    def forward(self, x):
        return self.score(x).sigmoid()


class HidesItsAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        tokens = x.flatten(2)
        weights = (self.query(x).flatten(2).mT @ tokens).softmax(-1)
        return (tokens @ weights.mT).unflatten(2, x.shape[2:])


class DropsInEvalMode(Gate):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.5)


class ReliesOnStrides(Gate):
    def forward(self, x):
        return super().forward(x).contiguous() + 0 * x.view(x.shape[0], -1).sum()


class DetachesTheGate(Gate):
    def forward(self, x):
        return x * self.score(x).sigmoid() + x * self.score(x).detach().tanh()


class ComputesInFloat32(Gate):
    def forward(self, x):
        return super().forward(x) * torch.ones(1, dtype=torch.float32)


class AssumesOnePrecision(Gate):
    def forward(self, x):
        index = torch.arange(x.shape[0])
        return x.clone().index_add(0, index, self.score(x).expand_as(x))


class KeepsStateOutside(Gate):
    def __init__(self, channels, *, strength=1.0):
        super().__init__(channels, strength=strength)
        self.noise = torch.randn(1).item()

    def forward(self, x):
        return super().forward(x) + self.noise


class SharesAParameter(Gate):
    def __init__(self, channels, *, strength=1.0):
        super().__init__(channels, strength=strength)
        self.twin = self.score

    def forward(self, x):
        return super().forward(x) + self.twin(x)


class CountsItsCalls(Gate):
    def __init__(self, channels, *, strength=1.0):
        super().__init__(channels, strength=strength)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


class FormsAllPairs(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        tokens = self.mix(x).flatten(2)
        return (tokens @ (tokens.mT @ tokens) / tokens.shape[2]).unflatten(2, x.shape[2:])


class UsesNoWeights(Gate):
    def forward(self, x):
        return x + self.strength * self.score(x)


class FailsForTwelveChannels(Gate):
    def __init__(self, channels, *, strength=1.0):
        super().__init__(channels, strength=strength)
        if channels == 12:
            raise ValueError("twelve!")


class AddsNothingAtFirst(Gate):
    def __init__(self, channels, *, strength=1.0):
        super().__init__(channels, strength=strength)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.gain * super().forward(x)


def entry(module, *, kind="gate", examples=({}, {"strength": 2.0}), **known):
    """Describe a class as a mechanism, without registering it."""
    return Mechanism(module.__name__, module, kind, "nobody", examples=examples, **known)


def test_a_sound_mechanism_passes_every_check():
    check_mechanism(entry(Gate))
    check_mechanism(entry(AddsNothingAtFirst, starts_as_identity=True))


MUTANTS = [
    (entry(IgnoresItsOption), "every_option_used", "strength=2.0"),
    (entry(Gate, examples=({},)), "every_option_used", "none of the examples"),
    (entry(Gate, examples=({}, {"strength": 1.0})), "every_option_used", "leaving it out"),
    (entry(SwallowsOptions, examples=({},)), "unknown_option", "no_such_option"),
    (entry(MixesTheBatch), "images_independent", "image 0"),
    (entry(ChangesItsInput), "inputs_unchanged", "input 0"),
    (entry(CountsItsCalls), "inputs_unchanged", "calls was changed"),
    (entry(HasADeadParameter), "gradients_reach_everything", "'unused' is missing"),
    (
        entry(HasABiasOnItsKeys, kind="softmax", examples=({},)),
        "gradients_reach_everything",
        "'key.bias'",
    ),
    (entry(AddsNothingAtFirst), "moves_when_inserted", "ever gets a gradient"),
    (entry(Gate, starts_as_identity=True), "moves_when_inserted", "changes its input"),
    (entry(DetachesTheGate), "gradients_right", "gradcheck"),
    (entry(DividesByTheDeviation), "finite_values", "not finite"),
    (entry(HasAnInfiniteGradient), "gradients_finite", "gradient of input 0"),
    (entry(BranchesOnValues), "compiles_whole", "data-dependent"),
    (entry(ReturnsTheGate), "output_shape", r"gives \(2, 1, 7, 7\)"),
    (
        entry(HidesItsAttention, kind="softmax", examples=({},)),
        "fused_attention",
        "hidden",
    ),
    (entry(DropsInEvalMode), "repeatable", "differs"),
    (entry(DropsInEvalMode), "random_state_untouched", "torch"),
    (entry(ReliesOnStrides), "any_memory_format", "view"),
    (entry(ComputesInFloat32), "bfloat16", "torch.float32"),
    (entry(AssumesOnePrecision), "autocast", "same dtype|same scalar type"),
    (entry(KeepsStateOutside), "state_dict_round_trip", "differs"),
    (entry(SharesAParameter), "state_dict_round_trip", "share memory"),
    (entry(UsesNoWeights), "visible_to_capture", "no attention was seen"),
    (entry(Gate, kind="softmax"), "visible_to_capture", "capture sees gate, not softmax"),
    (entry(FormsAllPairs, kind="linear", examples=({},)), "costs_counted", "twice as many"),
    (entry(FailsForTwelveChannels), "channel_counts", "ValueError: twelve!"),
]


@pytest.mark.parametrize(
    ("mutant", "check", "reason"), MUTANTS, ids=[f"{m.name}-{check}" for m, check, _ in MUTANTS]
)
def test_a_broken_mechanism_is_refused_by_the_check_that_names_the_reason(mutant, check, reason):
    with pytest.raises(ContractViolation, match=reason) as violation:
        dict(mechanism_checks(mutant))[check]()
    message = str(violation.value)
    assert mutant.name in message
    assert check in message


def test_every_check_refuses_some_mutant():
    refused = {check for _, check, _ in MUTANTS}
    names = {name for name, _ in mechanism_checks(entry(Gate))}
    assert refused == names


def test_a_third_party_registers_in_five_lines_and_passes():
    @regard.attention.register("brightness_gate", kind="gate", paper="us, 2026")
    class BrightnessGate(nn.Module):
        def __init__(self, channels):
            super().__init__()

        def forward(self, x):
            return x * x.mean(1, keepdim=True).sigmoid()

    try:
        check_mechanism("brightness_gate")
    finally:
        mechanisms.remove("brightness_gate")


def test_options_replace_the_examples():
    with pytest.raises(ContractViolation, match=r"with \{'strength': 1.0\}"):
        check_mechanism(entry(Gate), options={"strength": 1.0})
    check_mechanism(entry(Gate), options={"strength": 3.0})


def test_an_unknown_mechanism_is_answered_with_the_near_matches():
    with pytest.raises(InputError, match="did you mean scaled_dot_product"):
        check_mechanism("scaled_dot_produkt")


def test_the_suite_leaves_global_random_state_and_type_checks_as_they_were():
    import jaxtyping

    before = torch.get_rng_state(), jaxtyping.config.jaxtyping_disable
    check_mechanism(entry(Gate))
    assert torch.equal(before[0], torch.get_rng_state())
    assert jaxtyping.config.jaxtyping_disable == before[1]
