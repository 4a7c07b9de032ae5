"""The mechanisms by name, and what is known of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from torch import nn

from regard.core.options import options_of, require_options
from regard.core.registry import Registry

MechanismKind = Literal["softmax", "linear", "gate"]
MechanismModule = TypeVar("MechanismModule", bound=type[nn.Module])


@dataclass(frozen=True)
class Mechanism:
    """What Regard knows of a mechanism.

    Attributes:
        name: the name users write.
        module: the class; called as `module(channels, **options)`.
        kind: what capture sees at its site.
        paper: authors and year.
        arxiv: the arXiv id, or None.
        context: True if its forward takes a second feature map.
        output: `map` (the input's shape) or `vector` (batch, channel).
        examples: option sets that the contract suite runs, each a change from the defaults.
        fused: of softmax kinds, whether `F.scaled_dot_product_attention` computes them; False
            where weights are normalised in another way than over the keys.
        starts_as_identity: whether a new block returns its input, because a factor of its own
            starts at zero. It must not be given another such factor: neither would ever move.

    """

    name: str
    module: Callable[..., nn.Module]
    kind: MechanismKind
    paper: str
    arxiv: str | None = None
    context: bool = False
    output: Literal["map", "vector"] = "map"
    examples: Sequence[Mapping[str, Any]] = field(default=({},))
    fused: bool = True
    starts_as_identity: bool = False

    @property
    def start(self) -> str:
        """How networks put it in: gates as in their papers, other kinds as the identity."""
        return "paper" if self.kind == "gate" else "identity"

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that the class takes, in its order."""
        return options_of(self.module, given=1)

    def build(self, channels: int, **options: Any) -> nn.Module:
        """Build the module; an option that it does not take is an `InputError`."""
        require_options("mechanism", self.name, options, self.options)
        return self.module(channels, **options)


mechanisms: Registry[Mechanism] = Registry("mechanism")


def register(
    name: str,
    *,
    kind: MechanismKind,
    paper: str,
    arxiv: str | None = None,
    context: bool = False,
    output: Literal["map", "vector"] = "map",
    examples: Sequence[Mapping[str, Any]] = (),
    fused: bool = True,
    starts_as_identity: bool = False,
) -> Callable[[MechanismModule], MechanismModule]:
    """Register a module class as a mechanism; that enrols it in `regard.testing.check_mechanism`.

    The class is called with the number of channels and the user's options, and maps
    (batch, channel, height, width) to the same shape.

    Example:
        >>> @regard.attention.register("brightness_gate", kind="gate", paper="us, 2026")
        ... class BrightnessGate(nn.Module):
        ...     def __init__(self, channels):
        ...         super().__init__()
        ...     def forward(self, x):
        ...         return x * x.mean(1, keepdim=True).sigmoid()

    """

    def add(module: MechanismModule) -> MechanismModule:
        entry = Mechanism(
            name=name,
            module=module,
            kind=kind,
            paper=paper,
            arxiv=arxiv,
            context=context,
            output=output,
            examples=({}, *examples),
            fused=fused,
            starts_as_identity=starts_as_identity,
        )
        mechanisms.add(name, entry)
        return module

    return add


def create(name: str, channels: int, **options: Any) -> nn.Module:
    """Build a mechanism by name for feature maps of `channels` channels.

    Raises:
        InputError: no such mechanism, or an option that it does not take (the near matches are
            named).

    """
    return mechanisms[name].build(channels, **options)
