"""The attention that a method is made from: one run of the model, and the sites that mix tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.capture import Captured, capture
from regard.capture.sighting import Keep
from regard.core.errors import InputError, NothingCaptured
from regard.core.grid import Grid
from regard.core.record import AttentionRecord, Provenance
from regard.explain.layer import Site
from regard.explain.targets import Score

# From the best to the worst.
_PROVENANCES: tuple[Provenance, ...] = ("exact", "recomputed", "approximate")


@dataclass(frozen=True)
class Differentiated:
    """One layer of attention, and how much the target wants of its output.

    Attributes:
        record: of the layer.
        gradient: of the score of each image, with respect to what attention put out.

    """

    record: AttentionRecord
    gradient: Float[Tensor, "batch head query d"]


def attention_of(
    model: nn.Module, images: Tensor, site: Site = "auto", *, keep: Keep = "operators"
) -> tuple[AttentionRecord, ...]:
    """Return the records of the sites where tokens attend: one forward pass, without gradients.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        site: `auto` for all of them, a glob over their names, or a module they are in.
        keep: as in `regard.capture`.

    Raises:
        InputError: no token attends to another at these sites.

    """
    with torch.no_grad():
        seen, _ = _seen(model, images, site, keep)
        return _of_tokens(model, seen)


def attention_and_gradients(
    model: nn.Module, images: Tensor, score: Score, site: Site = "auto"
) -> list[Differentiated]:
    """Return the layers on which the target depends: one forward and one backward pass.

    The backward pass goes from the score to the first site's output and no further, and takes no
    gradients of weights.

    Args:
        model: in eval mode; its parameters may be frozen.
        images: (batch, channel, height, width).
        score: of the target.
        site: as in `attention_of`.

    Raises:
        InputError: no token attends to another at these sites, or the target does not depend on it
            in a differentiable way.

    """
    seen, output = captured_with_gradients(model, images, site)
    with torch.enable_grad():
        total = score(output).sum()
    gradients = seen.output_gradients(total)
    records = _of_tokens(model, seen)
    layers = [
        Differentiated(record, gradient)
        for record, gradient in zip(seen.records, gradients, strict=True)
        if gradient is not None and any(record is known for known in records)
    ]
    if not layers:
        raise InputError(
            f"the target does not depend on the attention of {type(model).__name__}, or not in a "
            "differentiable way; choose another target= or site="
        )
    return layers


@contextmanager
def thawed(model: nn.Module) -> Iterator[None]:
    """Let gradients flow to frozen parameters inside the block.

    Attention may come from parameters alone, as the first among object queries does: with these
    frozen, nothing would lead back to it.
    """
    frozen = [
        parameter
        for parameter in model.parameters()
        if parameter.is_floating_point()
        and not parameter.requires_grad
        and not parameter.is_inference()
    ]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def captured_with_gradients(
    model: nn.Module, images: Tensor, site: Site
) -> tuple[Captured, object]:
    """Run the model with gradients on; return what was seen, and what it returned."""
    with torch.enable_grad(), thawed(model):
        return _seen(model, images.detach().requires_grad_(), site, "tensors")


def _seen(model: nn.Module, images: Tensor, site: Site, keep: Keep) -> tuple[Captured, object]:
    try:
        with capture(model, sites=_globs(model, site), keep=keep) as seen:
            output = model(images)
    except NothingCaptured as error:
        raise InputError(f"{error}; grad_cam needs no attention") from error
    return seen, output


def _globs(model: nn.Module, site: Site) -> Sequence[str]:
    if isinstance(site, str):
        return ("*",) if site == "auto" else (site,)
    for name, module in model.named_modules():
        if module is site:
            return (name, f"{name}.*") if any(module.children()) else (name,)
    raise InputError(f"the {type(site).__name__} given as site= is no module of the model")


def _of_tokens(model: nn.Module, seen: Captured) -> tuple[AttentionRecord, ...]:
    found = tuple(r for r in seen.records if r.kind != "gate" and r.mixes == "tokens")
    if not found:
        kinds = ", ".join(f"{r.site} ({_what(r)})" for r in seen.records[:3])
        raise InputError(
            f"at no site of {type(model).__name__} that was seen do tokens attend to each other: "
            f"{kinds}; choose another site=, or grad_cam, which needs no attention"
        )
    return found


def _what(record: AttentionRecord) -> str:
    return "a gate" if record.kind == "gate" else "attention among channels"


def names_of(records: Sequence[AttentionRecord]) -> tuple[str, ...]:
    """Return the names of the sites, each once."""
    return tuple(dict.fromkeys(record.site for record in records))


def worst_provenance(records: Sequence[AttentionRecord]) -> Provenance:
    """Return the provenance of what was made from all of these."""
    return _PROVENANCES[max(_PROVENANCES.index(record.provenance) for record in records)]


def on_map(grid: Grid, values: Float[Tensor, "batch token"]) -> Float[Tensor, "batch row col"]:
    """Lay what tokens got out on the image; a cell in which no token lies got nothing."""
    laid = grid.to_map(values)
    if grid.is_regular:
        return laid
    holds_token = grid.to_map(torch.ones(grid.tokens, device=values.device)) == 1
    return laid.where(holds_token, 0.0)
