"""A network by name, with attention in it, its first weights decided by a seed."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from regard.attention.insert import insert
from regard.attention.registry import mechanisms
from regard.attention.spec import parse_attention
from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.models.detect.detector import Detector
from regard.models.network_word import parse_network
from regard.models.registry import BY_TASK, Network, Places

_UNKNOWN_OPTION = re.compile(r"unexpected keyword argument ('\w+')")

_TIMM_PLACES = Places(gate="layer*.*.bn2", mixing="layer4")

__all__ = ["NetworkSpec", "build", "find_network", "parse_network"]


@dataclass(frozen=True)
class NetworkSpec:
    """What it takes to build a network again: the `model` entry of a run's `config.json`.

    Attributes:
        name: a registered network, or `timm:NAME`.
        classes: how many classes the head tells apart.
        attention: `NAME`, `NAME@PLACE`, `NAME(option=value)@PLACE`, `none` for the network
            without any, or None for what the network has by default.
        options: the network's own options.

    """

    name: str
    classes: int
    attention: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def build(spec: NetworkSpec, *, seed: int = 0, task: str = "classify") -> nn.Module:
    """Build a network in eval mode.

    The weights of the backbone depend on the seed alone, not on the attention that is put into
    it, so that networks with different attention start from the same point.

    Raises:
        InputError: no such network, mechanism, place or option.

    """
    if spec.classes < 1:
        raise InputError(f"classes must be at least 1, not {spec.classes}")
    network = find_network(spec.name, task)
    with seeded(seed, 0):
        model = _call(network, spec)
    attention = network.attention if spec.attention is None else spec.attention
    if attention is not None and attention != "none":
        with seeded(seed, 1):
            _attend(model, network, attention, spec.options.get("size", network.size))
    return model.eval()


def find_network(name: str, task: str = "classify") -> Network:
    """Return what is known of a task's registered network or, to classify, of `timm:NAME`.

    Raises:
        InputError: no such network.

    """
    if task == "classify" and name.startswith("timm:"):
        return _timm_network(name)
    return BY_TASK[task][name]


def _call(network: Network, spec: NetworkSpec) -> nn.Module:
    try:
        return network.build(spec.classes, **spec.options)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        unknown = _UNKNOWN_OPTION.search(str(error))
        reason = f"it has no option {unknown[1]}" if unknown else str(error)
        raise InputError(f"network {spec.name!r}: {reason}") from error


def _attend(model: nn.Module, network: Network, attention: str, size: int) -> None:
    """Put attention where the user says, or where it belongs in this network.

    Gates start as in their papers. Mechanisms that mix positions start as the identity.
    """
    name, place, options = parse_attention(attention)
    gate = mechanisms[name].kind == "gate"
    where = place or (network.places.gate if gate else network.places.mixing)
    if isinstance(model, Detector) and where in (*model.places, "rois"):
        slots = model.slots(where, context=mechanisms[name].context)
        for slot in slots:
            slot.put(name, **options)
        if slots:
            return
        part = model.places[where]
        where = part.gate if gate else part.mixing
    insert(model, name, where, start=mechanisms[name].start, input_size=size, **options)


def _timm_network(name: str) -> Network:
    """Wrap one of timm's architectures, with random weights, as a network of ours."""
    timm = require("timm", extra="zoo")
    architecture = name.removeprefix("timm:")
    if not timm.is_model(architecture):
        near = timm.list_models(f"*{architecture[:6]}*")[:3]
        hint = f"did you mean {' or '.join(near)}?" if near else "see timm.list_models()"
        raise InputError(f"timm has no model {architecture!r}; {hint}")

    def build_timm(classes: int, **options: Any) -> nn.Module:
        return timm.create_model(architecture, num_classes=classes, **options)

    size = timm.get_pretrained_cfg(architecture).input_size[-1]
    return Network(name, build_timm, paper="timm", size=size, places=_TIMM_PLACES)
