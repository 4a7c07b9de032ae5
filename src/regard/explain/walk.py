"""A walk through the pipeline: one model, one image, every stage from features to prediction."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from regard.core.errors import InputError, unknown_name
from regard.core.modes import evaluating
from regard.core.pipeline import Answer, Array, GateSite, SwitchedOff, TokenSite, Walk
from regard.core.record import AttentionRecord
from regard.explain.subject import Preprocess, device_of, is_headless
from regard.explain.switch_off import MEANINGS, Switchboard
from regard.explain.walk_answer import answer_of
from regard.explain.walk_sites import UnshowableError, lay_out, site_of


def walk(
    model: nn.Module,
    image: Image.Image | Tensor,
    *,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | None = None,
    sites: str = "*",
    name: str | None = None,
    image_name: str = "image",
) -> Walk:
    """Run a model on one image and keep what every attention site did.

    The model is as before afterwards: flags, hooks and gradients.

    Args:
        model: any module; one that `regard.load` returned brings its labels and preprocessing.
        image: an RGB picture, or a tensor (1, 3, height, width): RGB in [0, 1] for a model that
            takes those, or what the model's own preprocessing made.
        labels: the class names; None for the model's own, or numbers. Empty for a model without a
            class head.
        preprocess: from picture to input; None for the model's own.
        sites: a glob over site names.
        name: what the model is called; None for its own name, or its class's.
        image_name: what the image is called.

    Raises:
        InputError: no preprocessing, a tensor that is no image, labels that do not fit the
            output, or no site that matches.
        NothingCaptured: the model has no attention that can be seen.

    """
    preprocess = preprocess if preprocess is not None else getattr(model, "preprocessing", None)
    batch, picture = _inputs(image, preprocess)
    batch = batch.to(device_of(model))
    board = Switchboard(model, batch)
    labels, told = _prediction(model, board.output, labels)
    answer, probabilities = told or ("classes", None)
    records = _chosen(board.records, sites)
    given = _given_to(model, batch, {record.site for record in records})
    kept: list[TokenSite | GateSite] = []
    left_out: list[str] = []
    shown: list[AttentionRecord] = []
    for record in records:
        off = None if told is None else _off(board, record, labels)
        features = lay_out(_of_call(given[record.site], record, records), record.grid)
        try:
            kept.append(site_of(record, _site_name(record, records), features, off))
        except UnshowableError as reason:
            left_out.append(f"{record.site}: {reason}")
        else:
            shown.append(record)
    return Walk(
        model=name or getattr(model, "name", None) or type(model).__name__,
        image=image_name,
        picture=picture,
        labels=labels,
        probabilities=probabilities,
        sites=tuple(kept),
        off=None if told is None else _all_off(board, shown, labels),
        left_out=tuple(left_out),
        answer=answer,
    )


def _inputs(
    image: Image.Image | Tensor, preprocess: Preprocess | None
) -> tuple[Tensor, NDArray[np.uint8]]:
    """Return the model's input, and the picture that it shows: RGB bytes (height, width, 3)."""
    if isinstance(image, Tensor):
        return _checked(image), _picture_of(image, preprocess)
    if preprocess is None:
        raise InputError(
            "the model does not say how it wants its images; pass preprocess=, or a tensor "
            "(1, 3, height, width)"
        )
    rgb = image.convert("RGB")
    return preprocess(rgb), np.array(preprocess.fit(rgb))


def _checked(image: Tensor) -> Tensor:
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise InputError(
            f"a walk takes one image as (1, 3, height, width), got {tuple(image.shape)}; "
            "pass images one at a time"
        )
    return image


def _picture_of(image: Tensor, preprocess: Preprocess | None) -> NDArray[np.uint8]:
    denormalise = getattr(preprocess, "denormalise", None)
    rgb = (image if denormalise is None else denormalise(image))[0].detach().cpu().float()
    low, high = float(rgb.min()), float(rgb.max())
    # Bicubic scaling overshoots a little.
    if low < -0.2 or high > 1.2:
        raise InputError(
            f"the image's values run from {low:.2f} to {high:.2f}, not from 0 to 1; pass the "
            "preprocessing that normalised it as preprocess=, or the picture itself"
        )
    return np.round(255 * rgb.clamp(0, 1).permute(1, 2, 0).numpy()).astype(np.uint8)


def _chosen(records: Sequence[AttentionRecord], pattern: str) -> list[AttentionRecord]:
    chosen = [record for record in records if fnmatchcase(record.site, pattern)]
    if not chosen:
        raise unknown_name("site", pattern, {record.site for record in records})
    return chosen


def _site_name(record: AttentionRecord, records: Sequence[AttentionRecord]) -> str:
    several = sum(other.site == record.site for other in records) > 1
    return f"{record.site}, call {record.call + 1}" if several else record.site


def _prediction(
    model: nn.Module, output: Any, labels: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[Answer, Array] | None]:
    """Return the class names and what the model tells of them; neither for one without classes."""
    known = getattr(model, "labels", None) if labels is None else labels
    found = answer_of(output, known)
    nameless = known is not None and not len(known)
    if found is None or nameless or (known is None and is_headless(model)):
        if labels:
            raise InputError(
                f"{len(labels)} labels were given, but the model returns no scores of classes; "
                "pass labels=()"
            )
        return (), None
    classes = len(found[1])
    if known is None:
        known = [f"class {index}" for index in range(classes)]
    if len(known) != classes:
        raise InputError(f"{len(known)} labels were given for the model's {classes} classes")
    return tuple(known), found


def _off(board: Switchboard, record: AttentionRecord, labels: Sequence[str]) -> SwitchedOff | None:
    if not board.can_switch_off(record):
        return None
    return _switched_off(board, [record], labels, MEANINGS[record.kind])


def _all_off(
    board: Switchboard, records: Sequence[AttentionRecord], labels: Sequence[str]
) -> SwitchedOff | None:
    """Switch every site off; not where one is linear, whose mean is that of the first run."""
    if not records or any(record.kind == "linear" for record in records):
        return None
    if not all(board.can_switch_off(record) for record in records):
        return None
    return _switched_off(board, records, labels, "every site is switched off in its own way.")


def _switched_off(
    board: Switchboard, records: Sequence[AttentionRecord], labels: Sequence[str], meaning: str
) -> SwitchedOff | None:
    told = answer_of(board.without(records), labels)
    return None if told is None else SwitchedOff(told[1], meaning)


def _of_call(
    given: Sequence[Tensor], record: AttentionRecord, records: Sequence[AttentionRecord]
) -> Tensor | None:
    """Return what the module was given in the call that a record is of: each has as many."""
    of_site = sum(other.site == record.site for other in records)
    return given[record.call * len(given) // of_site] if given else None


def _given_to(model: nn.Module, batch: Tensor, sites: set[str]) -> dict[str, list[Tensor]]:
    """Return the first tensor that each site's module was given in each call: run for that."""
    given: dict[str, list[Tensor]] = {site: [] for site in sites}

    def note(site: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            for tensor in _tensors((*args, *kwargs.values())):
                # A copy: the model may write into it.
                given[site].append(tensor.detach().clone())
                return

        return hook

    with ExitStack() as stack:
        for site, module in model.named_modules():
            if site in sites:
                handle = module.register_forward_pre_hook(note(site), with_kwargs=True)
                stack.callback(handle.remove)
        with evaluating(model), torch.no_grad():
            model(batch)
    return given


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    return (value for value in values if isinstance(value, Tensor) and value.is_floating_point())
