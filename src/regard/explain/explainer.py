"""The methods by name, what each is given, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from regard.core.explanation import MapKind
from regard.core.grid import Grid
from regard.core.options import options_of, require_options
from regard.core.record import Provenance
from regard.core.registry import Registry
from regard.explain.targets import Score

Family = Literal["attention", "activation", "gradient", "perturbation"]


@dataclass(frozen=True)
class Maps:
    """What a method found for a batch of images.

    Attributes:
        values: (batch, row, col), at the method's own resolution.
        kind: what the numbers are.
        site: the sites, or the layer, that they come from.
        grid: where the cells lie on the input; None where each is a pixel.
        keys: of a distribution, how many keys the attention was over.
        provenance: of the tensors that the map was made from.
        chosen: what the method chose automatically and why, one sentence each.

    """

    values: Float[Tensor, "batch row col"]
    kind: MapKind
    site: tuple[str, ...] = ()
    grid: Grid | None = None
    keys: int | None = None
    provenance: Provenance = "exact"
    chosen: tuple[str, ...] = ()


Method = Callable[..., Maps]
"""Called as `method(model, images, score, **options)`; see `register`."""


@dataclass(frozen=True)
class Explainer:
    """What Regard knows of a method.

    Attributes:
        name: the name users write.
        method: the function.
        family: what it is made from.
        answers: the question that its map answers, one sentence.
        paper: authors and year.
        arxiv: the arXiv id, or None.
        examples: option sets that the contract suite runs, each a change from the defaults.
        quick: options that the contract suite gives beside these: fewer samples than users want.
        class_specific: False for methods whose map is the same for every target.
        dear: True for methods that run the model tens of times: a quick check does not run them
            again.
        boxes_only: True for methods of detectors' boxes, which `regard.see` refuses elsewhere.

    """

    name: str
    method: Method
    family: Family
    answers: str
    paper: str
    arxiv: str | None = None
    examples: Sequence[Mapping[str, Any]] = ({},)
    quick: Mapping[str, Any] = field(default_factory=dict)
    class_specific: bool = True
    dear: bool = False
    boxes_only: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that the method takes, in its order."""
        return options_of(self.method, given=3)

    def __call__(self, model: nn.Module, images: Tensor, score: Score, **options: Any) -> Maps:
        """Run the method; an option that it does not take is an `InputError`."""
        require_options("method", self.name, options, self.options)
        return self.method(model, images, score, **options)


methods: Registry[Explainer] = Registry("method")


def register(
    name: str,
    *,
    family: Family,
    answers: str,
    paper: str,
    arxiv: str | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
    quick: Mapping[str, Any] | None = None,
    class_specific: bool = True,
    dear: bool = False,
    boxes_only: bool = False,
) -> Callable[[Method], Method]:
    """Register a function as a method; that enrols it in `regard.testing.check_explainer`.

    The function is called with a model in eval mode, preprocessed images (batch, channel, height,
    width) on the model's device, a score (`score(output, image)`: how much of the target there is
    in each row of the model's output), and the user's options. It returns `Maps`, and leaves the
    model as it was.

    Example:
        >>> @regard.explain.register("blue", family="perturbation", answers="Where is it blue?",
        ...                          paper="us, 2026", class_specific=False)
        ... def blue(model, images, score):
        ...     return regard.explain.Maps(images[:, 2], "positive")

    """

    def add(method: Method) -> Method:
        entry = Explainer(
            name=name,
            method=method,
            family=family,
            answers=answers,
            paper=paper,
            arxiv=arxiv,
            examples=({}, *examples),
            quick=quick or {},
            class_specific=class_specific,
            dear=dear,
            boxes_only=boxes_only,
        )
        methods.add(name, entry)
        return method

    return add
