"""One call, any model, the right method, an honest map, without a verdict: `regard.see` adds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from regard.capture import capture
from regard.core.errors import InputError, NothingCaptured
from regard.core.explanation import Explanation
from regard.core.modes import evaluating
from regard.core.record import AttentionRecord
from regard.explain.asked import asked
from regard.explain.detections import is_detection
from regard.explain.explainer import Explainer, Maps, methods
from regard.explain.layer import Site
from regard.explain.subject import ImageLike, Preprocess, Subject, subject
from regard.explain.targets import Score, TargetLike


@dataclass(frozen=True, eq=False)
class Explained:
    """What is needed to explain images again.

    Attributes:
        subject: the model and the images.
        output: what the model returned for them.
        score: of the target.
        explainer: the method; None where it is not known.
        options: of the method, as the user gave them.

    """

    subject: Subject
    output: Any
    score: Score
    explainer: Explainer | None
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Seen(Explained):
    """What was explained, and how.

    Attributes:
        maps: what the method found.
        explanations: one an image.

    """

    maps: Maps
    explanations: tuple[Explanation, ...]


def one_of(image: ImageLike) -> Sequence[ImageLike] | torch.Tensor:
    """Return a batch that holds one image."""
    return image if isinstance(image, torch.Tensor) and image.ndim != 3 else [image]


def look(
    model: nn.Module,
    images: Sequence[ImageLike] | torch.Tensor,
    *,
    target: TargetLike = None,
    method: str = "auto",
    site: Site = "auto",
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
    **options: Any,
) -> Seen:
    """Explain images, and keep what is needed to check the explanations.

    The model is as before afterwards: flags, hooks and gradients.

    Args:
        model: any module; one that `regard.load` returned brings its preprocessing and labels.
        images: pictures (Pillow, or RGB bytes (height, width, 3)), or preprocessed tensors
            (batch, 3, height, width).
        target: a class by index or label, `"top-2"`, a pair of classes (this rather than that), a
            target of `regard.explain`, or a function of the model's output; of a detector or
            segmenter a class means its surest box or its mask, and `"CLASS@PLACE"` a box, pixel or
            rectangle (see `regard.explain.asked`). None for the likeliest class, the surest box,
            the largest mask, or the embedding of a model without classes.
        method: its name (`regard list methods`), or `auto`: attention where the model's tokens
            attend to each other, activations elsewhere.
        site: the layer or the attention sites, by name, glob or module.
        labels: the class names; None for the model's own.
        preprocess: from picture to input; None for the model's own.
        name: what the model is called; None for its own name.
        **options: of the method.

    Raises:
        InputError: no such method, site, class or option, or an image that is none.

    """
    seen = subject(model, images, labels=labels, preprocess=preprocess, name=name)
    with evaluating(model):
        output, explainer, chosen = _run(seen, method)
        if explainer.boxes_only and not is_detection(output):
            raise InputError(
                f"{explainer.name} explains the boxes of a detector, and {seen.name} finds none; "
                "choose another method, such as rise"
            )
        score, why = asked(target, output, seen)
        if "site" in explainer.options or site != "auto":  # by a method without sites it is refused
            options["site"] = site
        maps = explainer(model, seen.images, score, **options)
    explanations = tuple(
        _explanation(seen, explainer, maps, score, prediction, (*chosen, *why), number)
        for number, prediction in enumerate(seen.predictions(output))
    )
    explanations = tuple(replace(one, asked=target, options=options) for one in explanations)
    return Seen(seen, output, score, explainer, options, maps, explanations)


def _run(seen: Subject, method: str) -> tuple[Any, Explainer, tuple[str, ...]]:
    """Return what the model makes of the images, the method, and why it was chosen."""
    if method != "auto":
        explainer = methods[method]
        with torch.no_grad():
            return seen.model(seen.images), explainer, ()
    output, records = None, ()
    try:
        with torch.no_grad(), capture(seen.model, keep="operators") as captured:
            output = seen.model(seen.images)
        records = captured.records
    except NothingCaptured:
        pass  # said when the block ends: the model has run
    if _attends(seen.model, records):
        return (
            output,
            methods["gradient_rollout"],
            ("gradient_rollout, because the model's tokens attend to each other",),
        )
    return (
        output,
        methods["grad_cam"],
        ("grad_cam, because little or no attention joins the model's positions",),
    )


def _attends(model: nn.Module, records: Sequence[AttentionRecord]) -> bool:
    """Return True if much of what the model does to positions is attention among them.

    Twice as many convolutions are forgiven, for a transformer may stand on a convolutional stem.
    """
    sites = [r for r in records if r.kind == "softmax" and r.mixes == "tokens"]
    convolutions = sum(
        isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1 and m.groups == 1
        for m in model.modules()
    )
    return 2 * len(sites) > convolutions


def _explanation(
    seen: Subject,
    explainer: Explainer,
    maps: Maps,
    score: Score,
    prediction: tuple[tuple[str, float], ...],
    chosen: tuple[str, ...],
    number: int,
) -> Explanation:
    target = score.names[number] if explainer.class_specific else "any target"
    place = score.places[number] if score.places else None
    picture = seen.pictures[number]
    return Explanation(
        values=maps.values[number].detach().float().cpu().numpy().astype(np.float32),
        kind=maps.kind,
        method=explainer.name,
        target=target,
        site=maps.site,
        provenance=maps.provenance,
        model=seen.name,
        picture=picture,
        prediction=prediction if place is None else ((place.label, place.sure),),
        grid=maps.grid,
        keys=maps.keys,
        chosen=(*chosen, *maps.chosen, *seen.assumed),
        outline=None if place is None else place.inside(picture.shape[:2]),
    )
