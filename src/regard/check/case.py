"""What maps are measured against: a model, one image, a target, and what else is known."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.modes import evaluating
from regard.explain.altered_copies import CHUNK, Copies, scores_as_wanted
from regard.explain.targets import Score

Explain = Callable[[nn.Module, Tensor, Score], Float[Tensor, "height width"]]
"""The method, run again: (model, image (1, channel, height, width), score) → a map of its size."""

Kept = TypeVar("Kept")

# An error of this share of the scores' spread takes 0.2 % off a correlation with them.
_TOLERANCE = 0.05
# With so few more, a quick check stays within 60 forward passes.
_PROBES = 6


@dataclass(frozen=True, eq=False)
class Case:
    """One image and one target of a model.

    Attributes:
        model: in eval mode.
        image: preprocessed, (1, channel, height, width), on the model's device.
        score: of the target, for this image alone.
        truth: True where the right answer is; None where nobody knows.
        explain: the method that made the map; None where it cannot be run again.
        other: the score of another class, for comparison; None where there is none.
        seed: of all that is random in metrics.
        chunk: how many copies of the image run together.
        precision: `float32` for the model's own; `bfloat16`; or `auto`: bfloat16 where that is
            fast and changes the scores of copies by little beside what tells them apart.

    """

    model: nn.Module
    image: Float[Tensor, "1 channel height width"]
    score: Score
    truth: Bool[Tensor, "height width"] | None = None
    explain: Explain | None = None
    other: Score | None = None
    seed: int = 0
    chunk: int = CHUNK
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    # What is being made just now, and what the method had a part in.
    _making: list[Hashable] = field(default_factory=list, init=False, repr=False)
    _by_method: set[Hashable] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.truth is not None and self.truth.shape != self.image.shape[2:]:
            raise InputError(
                f"truth is {tuple(self.truth.shape)} for an image of "
                f"{tuple(self.image.shape[2:])}; scale it to the image"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return int(self.image.shape[2]), int(self.image.shape[3])

    def has(self, need: str) -> bool:
        """Return True if there is what a metric may need."""
        if need == "classes":
            return self.explain is not None and self.other is not None
        return getattr(self, need) is not None

    def once(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return what `make` makes, made once for a case: metrics share what is dear."""
        if key not in self._kept:
            self._making.append(key)
            try:
                self._kept[key] = make()
            finally:
                self._making.pop()
        elif key in self._by_method:
            self._by_method.update(self._making)
        return self._kept[key]

    def for_method(self, explain: Explain | None) -> "Case":
        """Return this case for another method; what was found without the method is found still."""
        kept = {key: what for key, what in self._kept.items() if key not in self._by_method}
        return replace(self, explain=explain, _kept=kept)

    @property
    def clean(self) -> float:
        """The score of the image as it is."""
        return self.once("clean", lambda: float(self.scores(1, lambda _: self.image)))

    def scores(
        self, count: int, make: Callable[[Any], Float[Tensor, "copy channel height width"]]
    ) -> Float[Tensor, " copy"]:
        """Return the scores of altered copies of the image, on the CPU in float64.

        Args:
            count: how many copies.
            make: (their numbers) → the copies; called for a chunk at a time.

        """
        with evaluating(self.model):
            found, _ = scores_as_wanted(
                self.model,
                Copies(count, make),
                self.score,
                0,
                self.precision,
                tolerance=_TOLERANCE,
                chunk=self.chunk,
                probes=_PROBES,
            )
        return found.detach().double().cpu()

    def explained(
        self, score: Score | None = None, image: Tensor | None = None
    ) -> Float[Tensor, "height width"]:
        """Run the method again: for another score, or another image of the same size."""
        if self.explain is None:
            raise InputError("this map came without the method that made it")
        self._by_method.update(self._making)
        image = self.image if image is None else image
        with evaluating(self.model):
            found = self.explain(self.model, image, self.score if score is None else score)
        return at_size(found[None].detach(), self.size)[0]


def at_size(
    maps: Float[Tensor, "map row col"], size: tuple[int, int]
) -> Float[Tensor, "map height width"]:
    """Scale maps to the size of the image, as pictures show them: bilinear; in float64, on the CPU.

    Args:
        maps: at any resolution.
        size: height and width of the image.

    """
    maps = maps.double().cpu()
    if maps.shape[1:] == torch.Size(size):
        return maps
    return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
