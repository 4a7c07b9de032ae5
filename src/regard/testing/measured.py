"""What a check of a metric looks at: one metric, its options, small cases and maps to measure."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.check.case import Case
from regard.check.metric import Metric
from regard.core.seeding import generator, seeded
from regard.explain.saliency import saliency
from regard.explain.targets import Class, Score
from regard.testing.explained import SIZE, RefusedError, SmallCNN
from regard.testing.violation import Checked

Maps = Float[Tensor, "map height width"]


class Measured(Checked[Metric]):
    """A metric with one set of options, under one check."""

    thing = "metric"

    def case(self, size: tuple[int, int] = SIZE) -> Case:
        """Build a case of a small CNN in which everything is known, every parameter random."""
        with seeded(0), torch.no_grad():
            model = SmallCNN().eval()
            for parameter in model.parameters():
                parameter.normal_(0, 0.4)
        image = torch.randn(1, 3, *size, generator=generator(1))
        return Case(
            model=model,
            image=image,
            score=score_of(model, image, 0),
            truth=region(size),
            explain=explain,
            other=score_of(model, image, 1),
        )

    def case_of_needs(self) -> Case:
        """Build the same case, in which nothing is known but what the metric declares to need."""
        known = {"truth": {"truth"}, "explain": {"explain"}, "classes": {"explain", "other"}}
        kept = {name for need in self.entry.needs for name in known[need]}
        absent = {"truth", "explain", "other"} - kept
        return replace(self.case(), **dict.fromkeys(absent))

    def maps(self, case: Case) -> Maps:
        """Return maps of all sorts: the method's, a positive coarse one, a signed fine one."""
        coarse = torch.rand(1, 1, 4, 3, generator=generator(2), dtype=torch.float64)
        fine = torch.randn(case.size, generator=generator(3), dtype=torch.float64)
        return torch.stack([case.explained(), F.interpolate(coarse, case.size)[0, 0], fine])

    def run(self, case: Case | None = None, maps: Maps | None = None) -> Tensor:
        """Measure maps."""
        case = self.case() if case is None else case
        maps = self.maps(self.case()) if maps is None else maps
        return self.entry(case, maps, **self.options)


def explain(model: nn.Module, image: Tensor, score: Score) -> Float[Tensor, "height width"]:
    """Return the saliency map of an image (1, channel, height, width)."""
    return saliency(model, image, score).values[0]


def score_of(model: nn.Module, image: Tensor, target: int) -> Score:
    """Return the score of a class."""
    with torch.no_grad():
        return Class(target).score(model(image), ())


def region(size: tuple[int, int]) -> Tensor:
    """Return a mask, True in a box off the centre, of a third of each side."""
    rows, cols = size
    mask = torch.zeros(size, dtype=torch.bool)
    mask[rows // 4 : rows // 4 + rows // 3, cols // 2 : cols // 2 + cols // 3] = True
    return mask


class Planted(nn.Module):
    """A model whose first class is in a region of one image, and whose second is elsewhere in it.

    The image is black and white dots; a logit is the mean of the white ones. Whatever takes pixels
    away (their mean, a blur, a guess from their neighbours) makes it less, and a brighter pixel
    makes it more, never less.
    """

    def __init__(self) -> None:
        super().__init__()
        white = torch.rand(SIZE, generator=generator(4)) < 0.5
        self.register_buffer("image", (2.0 * white - 1).expand(1, 3, *SIZE).clone())
        wanted = torch.stack([white & region(SIZE), white & ~region(SIZE)]).float()
        shares = wanted / wanted.sum((1, 2), keepdim=True)
        gains = torch.tensor([5.0, 4.0])[:, None, None, None]
        self.weights = nn.Parameter(gains * shares[:, None].expand(-1, 3, -1, -1) / 3)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, height, width) to logits (batch, class)."""
        return torch.einsum("bchw,kchw->bk", x, self.weights)


def planted_case() -> tuple[Case, Float[Tensor, "height width"]]:
    """Return a case with a known answer, and a map that shares its score out there, with noise."""
    model = Planted().eval()
    image = model.get_buffer("image")
    score, other = (score_of(model, image, target) for target in (0, 1))
    case = Case(model, image, score, truth=region(SIZE), explain=explain, other=other)
    noise = torch.rand(SIZE, generator=generator(5), dtype=torch.float64)
    answer = region(SIZE).double()
    return case, case.clean / answer.sum() * (answer + 0.1 * noise)


@dataclass
class Failing:
    """A function that raises from its n-th call on.

    Attributes:
        function: what it does before.
        at: n, from 1.
        calls: how often it was called.

    """

    function: Callable[..., Any]
    at: int
    calls: int = field(default=0)

    def __call__(self, *given: Any) -> Any:
        """Do what the function does, or raise RefusedError."""
        self.calls += 1
        if self.calls >= self.at:
            raise RefusedError
        return self.function(*given)

    @property
    def reached(self) -> bool:
        """True if it has raised."""
        return self.calls >= self.at


@dataclass
class Asked:
    """A method that remembers for which scores it was run."""

    scores: list[Score] = field(default_factory=list)

    def __call__(
        self, model: nn.Module, image: Tensor, score: Score
    ) -> Float[Tensor, "height width"]:
        """Return the saliency map."""
        self.scores.append(score)
        return explain(model, image, score)
