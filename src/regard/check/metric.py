"""The metrics by name, what each is given, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case
from regard.core.errors import InputError
from regard.core.options import options_of, require_options
from regard.core.registry import Registry

Family = Literal["faithfulness", "ground_truth", "randomisation", "stability", "complexity"]
Need = Literal["truth", "explain", "classes"]
"""What a metric needs beside model and image: the right answer, or the method to run again, or
another class to run it for."""

Measure = Callable[..., Float[Tensor, " map"]]
"""Called as `measure(case, maps, **options)`; see `register`."""


@dataclass(frozen=True)
class Metric:
    """What Regard knows of a metric.

    Attributes:
        name: the name users write.
        measure: the function.
        family: what it measures.
        answers: the question that its number answers, one sentence.
        better: whether a good map has a higher or a lower value.
        paper: authors and year.
        arxiv: the arXiv id, or None.
        needs: what it needs beside model and image.
        place: False where a map's place plays no part in it, so that copies of it elsewhere are
            no controls.
        asks_once: True where what it asks the model does not depend on the maps, so that controls
            cost no forward pass and it gets many.
        examples: option sets that the contract suite runs, each a change from the defaults.
        quick: options that the contract suite gives beside these: less work than users want.

    """

    name: str
    measure: Measure
    family: Family
    answers: str
    better: Literal["higher", "lower"]
    paper: str
    arxiv: str | None = None
    needs: tuple[Need, ...] = ()
    place: bool = True
    asks_once: bool = False
    examples: Sequence[Mapping[str, Any]] = ({},)
    quick: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that the metric takes, in its order."""
        return options_of(self.measure, given=2)

    def applies(self, case: Case) -> bool:
        """Return True if the case has what the metric needs."""
        return all(case.has(need) for need in self.needs)

    def __call__(
        self, case: Case, maps: Float[Tensor, "map height width"], **options: Any
    ) -> Float[Tensor, " map"]:
        """Measure maps of one image, each for itself.

        Raises:
            InputError: no such option, maps of another size than the image, or the case lacks
                what the metric needs.

        """
        require_options("metric", self.name, options, self.options)
        if maps.shape[1:] != case.image.shape[2:]:
            raise InputError(
                f"{self.name} got maps of {tuple(maps.shape[1:])} for an image of "
                f"{tuple(case.image.shape[2:])}; scale them to the image first"
            )
        for need in self.needs:
            if not case.has(need):
                raise InputError(f"{self.name} needs {_MISSING[need]}")
        return self.measure(case, maps, **options)


_MISSING: dict[Need, str] = {
    "truth": "the region that is right; give truth=",
    "explain": "to run the method again, and this map came without one",
    "classes": "a class as its target, and another class to compare with",
}

metrics: Registry[Metric] = Registry("metric")


def register(
    name: str,
    *,
    family: Family,
    answers: str,
    better: Literal["higher", "lower"],
    paper: str,
    arxiv: str | None = None,
    needs: tuple[Need, ...] = (),
    place: bool = True,
    asks_once: bool = False,
    examples: Sequence[Mapping[str, Any]] = (),
    quick: Mapping[str, Any] | None = None,
) -> Callable[[Measure], Measure]:
    """Register a function as a metric; that enrols it in `regard.testing.check_metric`.

    The function is called with a `Case` and maps (map, height, width) of its image, on the CPU,
    and returns a number for each, (map,), float64. The first map is the one in question and the
    others are its controls, but a metric must not know that: each map is measured for itself.

    Example:
        >>> @regard.check.register("height", family="complexity", better="higher", place=False,
        ...                        answers="How high is the map?", paper="us, 2026")
        ... def height(case, maps):
        ...     return maps.double().amax((1, 2))

    """

    def add(measure: Measure) -> Measure:
        entry = Metric(
            name=name,
            measure=measure,
            family=family,
            answers=answers,
            better=better,
            paper=paper,
            arxiv=arxiv,
            needs=needs,
            place=place,
            asks_once=asks_once,
            examples=({}, *examples),
            quick=quick or {},
        )
        metrics.add(name, entry)
        return measure

    return add
