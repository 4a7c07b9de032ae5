"""`with regard.capture(model) as seen:` – the context manager."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial

from torch import nn

from regard.capture.captured import Captured
from regard.capture.compiled import original, running_eagerly
from regard.capture.intercept import Interceptor
from regard.capture.locate import Locator, Seen
from regard.capture.modules import ModuleStack
from regard.capture.observer import Observer
from regard.capture.sighting import Keep, Sighting
from regard.core.errors import NothingCaptured, unknown_name
from regard.core.record import Places

_LOOKED_FOR = (
    "fused attention (scaled_dot_product_attention, flex_attention), a softmax whose output "
    "multiplies a tensor, linear attention, sampled attention (grid_sample), and gates (sigmoid, "
    "hard sigmoid, softmax, or a ReLU or normalize shared by several features, times features)"
)


@contextmanager
def capture(
    model: nn.Module, *, sites: str | Sequence[str] = "*", keep: Keep = "tensors"
) -> Iterator[Captured]:
    """Record every attention that `model` computes inside the block.

    The model is used as it is: fused kernels still run, its output does not change, gradients
    flow, and nothing of the capture is left behind when the block ends, by an exception or not.
    Two things run differently inside the block, and so may round differently. What was compiled
    runs as it was written, and is compiled as before afterwards. `nn.MultiheadAttention` and
    `nn.TransformerEncoder` in eval mode take their ordinary path, as they do with gradients on,
    and not the fused one; padded tokens, for which the fused one may return zeros, get values.

    Args:
        model: any module. Its own class name is the site of what it computes outside its
            submodules; everything else is named by the innermost module that is running.
        sites: globs for the names of the sites to record (`"blocks.*.attn"`); of others nothing
            is kept.
        keep: `tensors` keeps all that met at a site; `operators` keeps only what the attention
            itself needs: of value and output nothing but the shape is left (as tensors on the
            `meta` device).

    Yields:
        Captured: site name → AttentionRecord, filled while the block runs.

    Raises:
        InputError: `model` is no module, or TorchScript, or an exported graph, or no module of it
            matches `sites`.
        NothingCaptured: the block ended and no attention was seen.

    Example:
        >>> with regard.capture(model) as seen:
        ...     model(images)
        >>> seen["blocks.11.attn"].operator.rows(0)  # (batch, heads, 1, key)

    """
    patterns = (sites,) if isinstance(sites, str) else tuple(sites)
    modules = _module_stack(model, patterns)
    if keep not in ("tensors", "operators"):
        raise unknown_name("value of keep", keep, ("tensors", "operators"))
    model = modules.model
    observer = Observer(modules, patterns, keep, constants=modules.constants())
    seen = Captured(observer.seen, partial(_locate, observer, Locator(modules, _look)))
    try:
        with running_eagerly(), modules.watching(), Interceptor(observer):
            yield seen
    finally:
        observer.close()
        seen.close()
    if not seen:
        raise NothingCaptured(_why_nothing(observer))


def _locate(observer: Observer, locator: Locator, sighting: Sighting, counted: Places) -> Places:
    """Find where tokens lie; what runs again for that is not captured a second time."""
    with observer.looking_away():
        return locator(sighting, counted)


def _look(module: nn.Module, run: Callable[[], object]) -> list[Seen]:
    """Capture a module while something runs."""
    try:
        with capture(module) as seen:
            run()
    except NothingCaptured:
        return []
    return [
        Seen(sighting.record(), sighting.running, frozenset(sighting.maps))
        for sighting in seen.sightings
    ]


def _module_stack(model: nn.Module, patterns: tuple[str, ...]) -> ModuleStack:
    """Check what the user gave, and prepare to follow its modules."""
    modules = ModuleStack(original(model))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in modules.names):
            raise unknown_name("site", pattern, modules.names)
    return modules


def _why_nothing(observer: Observer) -> str:
    """Say in one line what was looked for and what there was."""
    model = observer.modules.model
    name = type(model).__name__
    if not observer.modules.ever_ran:
        return f"{name} never ran inside the capture block; call model(x) inside it"
    if observer.passed_over:
        found = ", ".join(observer.passed_over)
        wanted = ", ".join(repr(pattern) for pattern in observer.sites)
        return f"{name} attends at {found}, but sites={wanted} matches none of these"
    kinds = Counter(type(m).__name__ for m in model.modules() if not any(m.children()))
    contains = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(12))
    return f"no attention ran in {name}; looked for {_LOOKED_FOR}; the model contains {contains}"
