"""One image and several methods: a row for each, and what they share is paid once.

What the model makes of covered copies of an image does not depend on the map, so all methods are
judged by the same copies, which is most of what a quick check costs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from regard.check.case import Case
from regard.check.counted import counted
from regard.check.judge import ask, judge, measure
from regard.check.metric import metrics
from regard.check.row import Row, row_of
from regard.check.see import judged
from regard.core.errors import RegardError
from regard.explain.look import look, one_of
from regard.explain.subject import ImageLike
from regard.explain.targets import TargetLike


@dataclass(frozen=True)
class Checks:
    """How maps are checked for a table.

    Attributes:
        depth: of the verdict.
        seed: of all that is random in it; the same for every image, so that a row has the verdict
            that `regard see` gives.
        beside: options of metrics that are measured beside it, by name.

    """

    depth: str = "quick"
    seed: int = 0
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def image_rows(
    model: nn.Module,
    picture: ImageLike,
    methods: Sequence[str],
    checks: Checks,
    *,
    names: tuple[str, str],
    target: TargetLike = None,
) -> Iterator[Row]:
    """Yield a row for each method; one that does not apply has a row that says why.

    Args:
        model: any module; one that `regard.load` returned brings its preprocessing and labels.
        picture: as for `regard.see`.
        methods: their names.
        checks: how their maps are checked.
        names: what model and image are called in the rows.
        target: what is explained; None for the likeliest class, or the embedding.

    """
    case: Case | None = None
    shared = 0
    for method in methods:
        key = (*names, method)
        try:
            with counted(model) as passes:
                seen = look(model, one_of(picture), target=target, method=method)
            found = judged(seen, 0, seen.maps.values[0], seed=checks.seed)
            if case is None:
                with counted(model) as asked:
                    ask(found.case, checks.depth)
                case, shared = found.case, asked.images
            found = replace(found, case=case.for_method(found.case.explain))
            verdict = judge(found, checks.depth)
            beside = [
                measure(found, metrics[name], **options)
                for name, options in checks.beside.items()
                if metrics[name].applies(found.case)
            ]
        except RegardError as error:
            yield Row(*key, reason=str(error))
            continue
        yield row_of(
            key,
            seen.explanations[0].target,
            verdict,
            beside,
            forwards=passes.images,
            shared=shared,
        )
