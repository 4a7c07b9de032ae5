"""See, and check what is seen: a map with its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regard.check.case import Case, Explain
from regard.check.judge import Judged, judge
from regard.core.errors import InputError
from regard.core.explanation import Explanation
from regard.core.modes import evaluating
from regard.core.verdict import Verdict
from regard.explain.asked import asked
from regard.explain.explainer import Explainer, methods
from regard.explain.look import Explained, look, one_of
from regard.explain.subject import ImageLike, subject
from regard.explain.targets import Class, Score, class_scores, has_classes


def see(model: nn.Module, image: ImageLike, *, check: bool = True, **options: Any) -> Explanation:
    """Explain what a model sees in an image, and say whether the map can be believed.

    The model is as before afterwards: flags, hooks, gradients and weights.

    Args:
        model: any module; one that `regard.load` returned brings its preprocessing and labels.
        image: a picture (Pillow, or RGB bytes (height, width, 3)), or a preprocessed tensor
            (1, 3, height, width).
        check: judge the map (a quick check: about 60 forward passes, most of them in bfloat16
            where that is fast and precise enough); False leaves it unjudged.
        **options: as of `see_batch`.

    Raises:
        InputError: no such method, site, class or option, or an image that is none.

    """
    (found,) = see_batch(model, one_of(image), check=check, **options)
    return found


def see_batch(
    model: nn.Module,
    images: Sequence[ImageLike] | Tensor,
    *,
    check: bool = True,
    **options: Any,
) -> list[Explanation]:
    """Explain several images of one size at once, each with its verdict.

    Args:
        model: any module; one that `regard.load` returned brings its preprocessing and labels.
        images: pictures, or a preprocessed tensor (batch, 3, height, width).
        check: judge the maps; False leaves them unjudged.
        **options: `target`, `method`, `site`, `labels`, `preprocess`, `name` and those of the
            method; see `regard.explain.look.look`.

    Raises:
        InputError: no such method, site, class or option, or an image that is none.

    """
    seen = look(model, images, **options)
    if not check:
        return list(seen.explanations)
    there = replace(seen, options=_where(seen.explanations[0], seen.score))
    return [
        replace(found, verdict=judge(judged(there, number, seen.maps.values[number])))
        for number, found in enumerate(seen.explanations)
    ]


def check(
    explanation: Explanation,
    model: nn.Module,
    image: ImageLike,
    *,
    depth: str = "quick",
    truth: Tensor | None = None,
    seed: int = 0,
    **options: Any,
) -> Verdict:
    """Judge an explanation: can it be believed?

    The map that is judged is the one in the explanation; the method is run again only to learn
    whether maps follow the weights and the class.

    Args:
        explanation: of `regard.see`, loaded, or of another tool (`regard.check.given`).
        model: the model that it explains.
        image: the image that it explains, as `regard.see` was given it.
        depth: `quick` for what a picture needs; `full` for every metric that applies.
        truth: (height, width), True where the right answer is, at the size of the model's input.
        seed: of all that is random.
        **options: `target`, `labels`, `preprocess`, as of `regard.see`; the target is the
            explanation's own unless given.

    Raises:
        InputError: the image is of another size than the explanation's, or no such depth.

    """
    target = options.pop("target", explanation.asked)
    known = explanation.method in methods
    with evaluating(model):
        seen = subject(model, one_of(image), **options)
        with torch.no_grad():
            output = seen.model(seen.images)
        score, _ = asked(target, output, seen)
    if seen.pictures[0].shape != explanation.picture.shape:
        raise InputError(
            f"the explanation is of a picture of {explanation.picture.shape[:2]} pixels and the "
            f"model looks at {seen.pictures[0].shape[:2]}; give the image and the model it is of"
        )
    explained = Explained(
        subject=seen,
        output=output,
        score=score,
        explainer=methods[explanation.method] if known else None,
        options=_where(explanation, score),
    )
    values = torch.from_numpy(np.ascontiguousarray(explanation.values))
    return judge(judged(explained, 0, values, truth=truth, seed=seed), depth)


def judged(
    seen: Explained, number: int, values: Tensor, *, truth: Tensor | None = None, seed: int = 0
) -> Judged:
    """Return what is judged: a map of one of the images that were explained."""
    explainer = seen.explainer
    again = None
    if explainer is not None and not explainer.dear:
        again = _again(explainer, seen.options)
    case = Case(
        model=seen.subject.model,
        image=seen.subject.images[number : number + 1],
        score=seen.score.only(number),
        truth=truth,
        explain=again,
        other=_another_class(seen, number),
        seed=seed,
        precision="auto",
    )
    prediction = seen.subject.predictions(seen.output)[number]
    place = seen.score.places[number] if seen.score.places else None
    sure = place.sure if place is not None else prediction[0][1] if prediction else None
    return Judged(
        case=case,
        values=values,
        confidence=sure,
        **({} if place is None else {"sure_of": seen.score.names[number]}),
        class_specific=explainer is None or explainer.class_specific,
        notes=() if again is not None else (_NOT_AGAIN[explainer is None],),
    )


def _where(explanation: Explanation, score: Score) -> Mapping[str, Any]:
    """Return the options with the layer by name, so that it need not be found again.

    Not of a box: a model that knows nothing may read it from another level.
    """
    at_a_level = score.places and score.layer == "last"
    if at_a_level or len(explanation.site) != 1 or explanation.options.get("site") != "auto":
        return explanation.options
    return {**explanation.options, "site": explanation.site[0]}


_NOT_AGAIN = {
    False: "whether the map follows the weights and the class was not checked: its method runs the "
    "model too often",
    True: "whether the map follows the weights and the class was not checked: its method is not "
    "known",
}


def _again(explainer: Explainer, options: Mapping[str, Any]) -> Explain:
    def explain(model: nn.Module, image: Tensor, score: Score) -> Tensor:
        return explainer(model, image, score, **options).values[0]

    return explain


def _another_class(seen: Explained, number: int) -> Score | None:
    """Return the score of a class in the middle of the model's ranking; None without classes.

    Of a box or a mask, that of another one. The next likeliest class is often nearly the same, and
    the least likely its opposite.
    """
    if seen.score.places:
        return seen.score.only(number).other
    if seen.subject.headless or not has_classes(seen.output):
        return None
    scores = class_scores(seen.output).detach()[number]
    if len(scores) < 2:
        return None
    ranking = scores.argsort(descending=True).tolist()
    middle = ranking[max(1, len(ranking) // 2)]
    return Class(middle).score(seen.output, seen.subject.labels).only(number)
