"""Checks of how a mechanism fits in: options, state dict, cost, fused attention, torch.compile."""

from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from regard.attention.cost import cost
from regard.capture import capture
from regard.core.errors import InputError, NothingCaptured
from regard.core.seeding import seeded
from regard.testing.subject import CHANNELS, Subject, relative_difference, uninstrumented


def channel_counts(subject: Subject) -> None:
    """It takes 8 channels, and others too or refuses them in one line."""
    for channels in (CHANNELS, 12, 1, 3, 64):
        try:
            module = subject.build(channels)
        except InputError as error:
            reason = str(error)
            subject.require(
                channels != CHANNELS,
                f"{CHANNELS} channels, which every check uses, are refused ({reason})",
                f"give option sets in `examples` that fit {CHANNELS} channels",
            )
            subject.require(
                bool(reason.strip()) and "\n" not in reason.strip(),
                f"{channels} channels are refused by {reason!r}",
                "say in one line what the channels must be",
            )
            continue
        inputs = subject.inputs(channels=channels)
        got, expected = tuple(module(*inputs).shape), subject.output_shape(inputs[0])
        subject.require(got == expected, f"{channels} channels give {got}", f"return {expected}")


def unknown_option(subject: Subject) -> None:
    """An option that it does not have is refused, not swallowed."""
    try:
        subject.entry.module(CHANNELS, **subject.options, no_such_option=1)
    except (TypeError, InputError):
        return
    subject.fail("no_such_option=1 is accepted", "name every option; take no **kwargs")


def every_option_used(subject: Subject) -> None:
    """Every option is in some example, and each changes parameters, output or train-mode output."""
    entry = subject.entry
    shown = {option for example in entry.examples for option in example}
    for option in entry.options:
        subject.require(
            option in shown | set(subject.options),
            f"option {option!r} is in none of the examples",
            "register it with `examples` that show each option with a value that matters",
        )
    full = _behaviour(subject)
    for option in subject.options:
        rest = {name: value for name, value in subject.options.items() if name != option}
        try:
            other = _behaviour(Subject(entry, rest, subject.check))
        except InputError:
            continue
        same = full.keys() == other.keys() and all(torch.equal(full[k], other[k]) for k in full)
        subject.require(
            not same,
            f"{option}={subject.options[option]!r} gives what leaving it out gives",
            "use the option, or show it in `examples` with a value other than its default",
        )


def _behaviour(subject: Subject) -> dict[str, Tensor]:
    """Return all that an option can change: parameters, and outputs in eval and in train mode."""
    module = subject.build()
    seen = dict(module.state_dict())
    inputs = subject.inputs()
    with torch.no_grad(), seeded(0):
        seen["(eval)"] = module(*inputs)
        seen["(train)"] = module.train()(*inputs)
    # An initial value may be the option's effect, and randomised parameters hide it.
    fresh = subject.build(randomised=False)
    return seen | {f"(initial) {name}": tensor for name, tensor in fresh.state_dict().items()}


def state_dict_round_trip(subject: Subject) -> None:
    """A state dict saved as safetensors restores the same output in a new module."""
    module, inputs = subject.build(), subject.inputs()
    saved = safetensors.torch.save(module.state_dict())
    restored = subject.build(seed=1)
    restored.load_state_dict(safetensors.torch.load(saved))
    difference = relative_difference(restored(*inputs), module(*inputs))
    subject.require(
        difference == 0,
        f"the restored module's output differs by {difference:.1e}",
        "keep everything that is learned or random in parameters and persistent buffers",
    )


def costs_counted(subject: Subject) -> None:
    """FLOPs can be counted; twice the images, and if `linear` twice the map, cost at most twice."""
    module = subject.build()
    shapes = [tuple(x.shape) for x in subject.inputs()]
    one = cost(module, *shapes).flops
    two = cost(module, *((2 * shape[0], *shape[1:]) for shape in shapes)).flops
    subject.require(
        one <= two <= 2 * one,
        f"{one} FLOPs for a batch of {shapes[0][0]}, {two} for twice as many images",
        "work on each image alone",
    )
    if subject.entry.kind == "softmax":
        subject.require(one > 0, "softmax attention costs 0 FLOPs", "let it multiply matrices")
    if subject.entry.kind == "linear":
        (batch, channels, height, width), *rest = shapes
        tall = cost(module, (batch, channels, 2 * height, width), *rest).flops
        subject.require(
            tall <= 2 * one,
            f"{one} FLOPs on {height}×{width} positions, {tall} on twice as many",
            "never form a matrix over pairs of positions",
        )


_SOFTMAX = frozenset({F.softmax, torch.softmax, torch.Tensor.softmax, torch.exp, torch.Tensor.exp})


class _Calls(TorchFunctionMode):
    """Notes which torch functions are called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Any] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.seen.add(func)
        return func(*args, **(kwargs or {}))


def fused_attention(subject: Subject) -> None:
    """A fused mechanism of kind `softmax` goes through F.scaled_dot_product_attention."""
    if subject.entry.kind != "softmax" or not subject.entry.fused:
        return
    module, inputs = subject.build(), subject.inputs()
    with _Calls() as calls, torch.no_grad():
        module(*inputs)
    fused = F.scaled_dot_product_attention in calls.seen
    # An option may choose another normalisation than softmax, which cannot run fused.
    without_softmax = bool(subject.options) and not calls.seen & _SOFTMAX
    subject.require(
        fused or without_softmax,
        "its softmax attention is hidden: F.scaled_dot_product_attention was not called",
        "call it, or register fused=False if its weights are not a softmax over the keys",
    )


def visible_to_capture(subject: Subject) -> None:
    """`regard.capture` sees a site of its kind, whose weights explain its output."""
    module, inputs = subject.build(), subject.inputs()
    try:
        with capture(module) as seen, torch.no_grad():
            module(*inputs)
    except NothingCaptured as error:
        subject.fail(f"no attention was seen ({error})", "form it in a way that capture knows")
    kinds = sorted({record.kind for record in seen.records})
    subject.require(
        subject.entry.kind in kinds or bool(subject.options),  # options may choose another kind
        f"capture sees {' and '.join(kinds)}, not {subject.entry.kind}",
        "register it with the `kind` that it is",
    )
    for site, error in seen.verify().items():
        subject.require(
            error < 1e-9,
            f"at {site!r} weights times values differ from the output by {error:.1e}",
            "let the weights that can be seen be the weights that are used",
        )


def _compare_compiled(subject: Subject, backend: str) -> None:
    module, inputs = subject.build(), subject.inputs()
    expected = module(*inputs).detach()
    torch.compiler.reset()  # else earlier subjects count towards the limit of recompilations
    try:
        with uninstrumented(), torch.no_grad():
            output = torch.compile(module, backend=backend, fullgraph=True)(*inputs)
    finally:
        torch.compiler.reset()
    difference = relative_difference(output, expected)
    subject.require(
        difference < 1e-9,
        f"the compiled module's output differs by {difference:.1e}",
        "avoid Python side effects in forward",
    )


def compiles_whole(subject: Subject) -> None:
    """torch.compile traces it without a graph break (no .item(), no branch on values)."""
    _compare_compiled(subject, "aot_eager")


def compiles_to_machine_code(subject: Subject) -> None:
    """torch.compile with Inductor gives the same values."""
    _compare_compiled(subject, "inductor")
