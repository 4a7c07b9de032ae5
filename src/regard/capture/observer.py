"""What capture knows while the model runs, and where it writes down what it sees."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from regard.capture.held import Held, Keeper
from regard.capture.modules import ModuleStack
from regard.capture.sighting import Keep, Sighting
from regard.capture.traces import Trace, TraceBook


@dataclass(slots=True)
class Call:
    """One call of a torch function by the model.

    Attributes:
        name: its bare name (`softmax`, `mul`), of an in-place call without the underscore.
        args, kwargs: what it was called with.
        result: what it returned.
        before: the first argument as it was, where the call overwrote it and that matters.

    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    before: Held | None = None

    def argument(self, position: int, *names: str, default: Any = None) -> Any:
        """Return an argument by its position or any of its names."""
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
        return self.args[position] if len(self.args) > position else default

    @property
    def source(self) -> Tensor | None:
        """The first argument, if it is a tensor."""
        first = self.args[0] if self.args else self.argument(0, "input", "self")
        return first if isinstance(first, Tensor) else None

    @property
    def output(self) -> Tensor | None:
        """The result, if it is one tensor."""
        return self.result if isinstance(self.result, Tensor) else None


@dataclass
class Observer:
    """The state of one capture block.

    Attributes:
        modules: which module is running.
        sites: globs; what no site matches is not recorded.
        keep: whether a site's tensors are kept, or only what its operator needs.
        seen: what was seen, by site, in order.
        passed_over: sites that attention was seen at and `sites` does not match.
        gates: gates by the origin of their output, which may show them to be something else.
        away: True while nothing is taken notice of.

    """

    modules: ModuleStack
    sites: tuple[str, ...]
    keep: Keep
    keeper: Keeper = field(default_factory=Keeper)
    book: TraceBook = field(init=False)
    seen: dict[str, list[Sighting]] = field(default_factory=dict)
    passed_over: dict[str, None] = field(default_factory=dict)
    gates: dict[int, Sighting] = field(default_factory=dict)
    away: bool = False
    constants: InitVar[frozenset[int]] = frozenset()

    def __post_init__(self, constants: frozenset[int]) -> None:
        self.book = TraceBook(constants)

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Take no notice of what runs inside the block."""
        before, self.away = self.away, True
        try:
            yield
        finally:
            self.away = before

    def is_constant(self, value: Any) -> bool:
        """Return True for numbers, single-element tensors and what the input has no part in."""
        return not isinstance(value, Tensor) or value.numel() == 1 or self.book.is_constant(value)

    def hold(self, call: Call, tensor: Tensor) -> Held:
        """Keep an argument as it was before the call, also if the call overwrote it."""
        if call.before is not None and tensor is call.args[0]:
            return call.before
        return self.keeper.hold(tensor)

    def hold_scores(self, call: Call, scores: Tensor) -> Held | None:
        """Keep what goes into a softmax or gate, unless only operators are wanted."""
        return self.hold(call, scores) if self.keep == "tensors" else None

    def wanted_site(self) -> str | None:
        """Return the name of the site that is running, or None if it is not to be recorded."""
        running = self.modules.innermost
        if running is None:
            return None
        if any(fnmatchcase(running.name, pattern) for pattern in self.sites):
            return running.name
        self.passed_over[running.name] = None
        return None

    def heads_hint(self) -> int:
        """Return how many heads the running module says it has, or the one it is part of; or 1."""
        for running in reversed(self.modules.running[-2:]):
            for name in ("num_heads", "heads", "n_heads", "num_attention_heads"):
                heads = getattr(running.module, name, None)
                if isinstance(heads, int) and heads > 0:
                    return heads
        return 1

    def add(self, sighting: Sighting) -> None:
        """Write down what was seen."""
        if self.keep == "operators":
            sighting.keep_only_operator()
        self.seen.setdefault(sighting.site, []).append(sighting)

    def next_call(self, site: str) -> int:
        """Return how many sightings there are of a site."""
        return len(self.seen.get(site, ()))

    def remove(self, sighting: Sighting) -> None:
        """Strike out a sighting that turned out to be a part of another."""
        others = [s for s in self.seen.get(sighting.site, []) if s is not sighting]
        for call, other in enumerate(others):
            other.call = call
        if others:
            self.seen[sighting.site] = others
        else:
            self.seen.pop(sighting.site, None)

    def token_counts(self) -> set[int]:
        """Return how many tokens the running module may have been given."""
        running = self.modules.innermost
        shape = running.input_shape if running else None
        if shape is None or len(shape) < 3:
            return set()
        return {shape[1]} if len(shape) == 3 else {shape[-2] * shape[-1], shape[1] * shape[2]}

    def trace(self, value: Any) -> Trace | None:
        """Return what is known of a value; None for anything but a tensor that was traced."""
        return self.book.get(value) if isinstance(value, Tensor) else None

    def close(self) -> None:
        """Let go of everything but what was seen."""
        self.keeper.clear()
        self.book.clear()
        self.gates.clear()
