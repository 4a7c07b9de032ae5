"""A trial: one training run of a study."""

from dataclasses import dataclass
from pathlib import Path

from regard.compare.study import Study, Variant


@dataclass(frozen=True)
class Trial:
    """One training run.

    Attributes:
        variant: what is trained.
        seed: of weights, order and augmentation; the same for all variants, so that they differ
            in nothing else.
        rate: the learning rate that is tried; None for the run that counts, which has the one that
            was found best.

    """

    variant: Variant
    seed: int
    rate: float | None = None

    @property
    def key(self) -> tuple[str, str, int, float]:
        """What tells it from the others: network, variant, seed, rate tried (0 for none)."""
        return self.variant.model, self.variant.name, self.seed, self.rate or 0.0

    @property
    def words(self) -> str:
        """What it is called in messages."""
        rate = "" if self.rate is None else f", learning rate {self.rate:g}"
        return f"{self.variant.model} {self.variant.name}, seed {self.seed}{rate}"

    def folder(self, study: Path) -> Path:
        """Where its run lies."""
        rate = "" if self.rate is None else f"-lr-{self.rate:g}"
        kind = "runs" if self.rate is None else "tuning"
        return study / kind / self.variant.folder / f"seed-{self.seed}{rate}"


def tuning_trials(study: Study, variants: list[Variant]) -> list[Trial]:
    """Return the trials that look for learning rates: as many for every variant."""
    seeds = study.every_seed[: study.tuning_seeds]
    return [
        Trial(variant, seed, rate)
        for seed in seeds
        for rate in study.learning_rates
        for variant in variants
    ]


def final_trials(study: Study, variants: list[Variant]) -> list[Trial]:
    """Return the runs that count, seed by seed: a study that stops early is still balanced."""
    return [Trial(variant, seed) for seed in study.every_seed for variant in variants]
