"""Putting a mechanism behind modules of an existing network.

The mechanism becomes a child, `attention`, of the module it stands behind, so every key of an old
state dict keeps its name, `model.layer3[0]` and `isinstance` checks stay true, and timm's
`feature_info` and `forward_features` work as before; a wrapper in the module's place would break
all of these. In a plain `nn.Sequential` the child runs because it is the last; elsewhere a forward
hook runs it. The hook finds the mechanism through the module that it is called with, not through a
closure, so `copy.deepcopy` and pickle give a copy that uses its own mechanism; torch.compile and
torch.export trace it like any other code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from regard.attention.blended import started
from regard.attention.options import one_of
from regard.attention.places import InputSize, Probe, Where, find_places
from regard.attention.registry import create, mechanisms
from regard.core.errors import InputError

Calls = Mapping[str, list[tuple[Any, Any]]]


def insert(
    model: nn.Module,
    name: str,
    where: Where = "layer3",
    *,
    start: str = "identity",
    input_size: InputSize | None = None,
    example_input: Tensor | tuple[Any, ...] | None = None,
    **options: Any,
) -> nn.Module:
    """Put a mechanism behind modules of a network, in place, and return the network.

    Channels are found by running the network once on a probe input, in eval mode on its own
    device. If any place fails, the network is left as it was. Compile, and make the optimiser,
    after inserting. Weights of the network without attention load with `strict=False`.

    Args:
        model: any network whose module at the place returns (batch, channel, height, width).
        name: a registered mechanism that takes one map and returns a map.
        where: a module's name; a glob, in which `*` stays within one part of a name (`layer*.1`);
            or a function of (name, module).
        start: `identity` blends the mechanism in with a learnable γ that starts at 0 (see
            `Blended`), unless it starts as the identity by itself: the network's output is
            unchanged until it is trained. `paper` puts in the mechanism as its paper has it.
        input_size: side, (height, width) or (channel, height, width) of the probe image; default
            what the network's `default_cfg` says, else 224, else 32.
        example_input: an input of the network, or a tuple of its inputs, in place of a size.
        **options: the mechanism's options.

    Raises:
        InputError: no such mechanism, option or place; the place returns no feature map; the
            mechanism cannot stand there.

    Example:
        >>> model = timm.create_model("resnet18", pretrained=True)
        >>> regard.attention.insert(model, "squeeze_excite", "layer3", reduction=8)

    """
    _check_request(model, name, start)
    places = find_places(model, where)
    probe = Probe(model, input_size=input_size, example_input=example_input)
    calls = probe.run(places)
    known = mechanisms[name]
    attached: list[_Attachment] = []
    try:
        for place, module in places.items():
            features = _feature_map(place, calls[place])
            mechanism = create(name, features.shape[1], **options)
            addition = started(known, mechanism, start)
            addition.to(features.device, features.dtype).train(module.training)
            attached.append(_Attachment.attach(place, module, addition))
        _check_additions(name, start, calls, probe.run({a.place: a.addition for a in attached}))
    except BaseException:
        for attachment in reversed(attached):
            attachment.detach()
        raise
    return model


def _check_request(model: nn.Module, name: str, start: str) -> None:
    mechanism = mechanisms[name]
    one_of(("identity", "paper"), start=start)
    if mechanism.context or mechanism.output != "map":
        what = "takes a second map" if mechanism.context else "returns a vector, not a map"
        raise InputError(
            f"mechanism {name!r} {what}, so it cannot stand behind a module; "
            "call it in your own forward"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError("a TorchScript model cannot be changed; insert before scripting it")
    if hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None) is not None:
        raise InputError("a compiled model does not notice additions; insert before compiling it")
    if getattr(model, "output_fmt", "NCHW") != "NCHW":  # timm's Swin and its kin
        raise InputError(
            f"{type(model).__name__} keeps its feature maps as {model.output_fmt}; mechanisms "
            "take (batch, channel, height, width)"
        )


def _feature_map(place: str, calls: list[tuple[Any, Any]]) -> Tensor:
    """Return one output of a place, after checking that all are feature maps of equal width."""
    if not calls:
        raise InputError(f"place {place!r} did not run when the model was probed; choose another")
    for _, output in calls:
        if not isinstance(output, Tensor) or output.ndim != 4 or not output.is_floating_point():
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise InputError(
                f"place {place!r} returns {got}, not a feature map (batch, channel, height, "
                "width); choose a convolution, a block or a stage"
            )
    widths = sorted({output.shape[1] for _, output in calls})
    if len(widths) > 1:
        raise InputError(
            f"place {place!r} runs several times, with {widths} channels; choose a place with one"
        )
    return calls[0][1]


def _check_additions(name: str, start: str, before: Calls, after: Calls) -> None:
    """Check, on a second probe, that each addition ran as often as its place, and rightly."""
    for place, calls in after.items():
        if len(calls) != len(before[place]):
            raise InputError(
                f"attention behind {place!r} ran {len(calls)} times where {place!r} ran "
                f"{len(before[place])} times: {place!r} or its parent runs its children in a way "
                "of its own; choose a place above or below"
            )
        for features, mixed in calls:
            if mixed.shape != features.shape:
                raise InputError(
                    f"mechanism {name!r} turned {tuple(features.shape)} into {tuple(mixed.shape)} "
                    f"behind {place!r}; it must keep the shape"
                )
            if start == "identity" and not torch.equal(features, mixed):
                raise InputError(
                    f"mechanism {name!r} gives values that are not finite behind {place!r}"
                )


@dataclass(frozen=True)
class _RunChild:
    """A forward hook that passes a module's output through one of its children."""

    child: str

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        return getattr(module, self.child)(output)


@dataclass(frozen=True)
class _Attachment:
    """A module that stands behind another, and how to take it away again."""

    place: str
    module: nn.Module
    child: str
    addition: nn.Module
    hook: Any

    @classmethod
    def attach(cls, place: str, module: nn.Module, addition: nn.Module) -> "_Attachment":
        child, number = "attention", 1
        while hasattr(module, child):
            number += 1
            child = f"attention_{number}"
        module.add_module(child, addition)
        hook = None
        if type(module).forward is not nn.Sequential.forward:
            hook = module.register_forward_hook(_RunChild(child))
        return cls(place, module, child, addition, hook)

    def detach(self) -> None:
        delattr(self.module, self.child)
        if self.hook is not None:
            self.hook.remove()
