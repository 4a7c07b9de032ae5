"""What a study compares, and the variants that follow from it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from typing import Any, Literal

from regard.core.errors import InputError, unknown_name
from regard.train import Recipe

Role = Literal["plain", "attention", "matched"]

ROLES = ("plain", "attention", "matched")
"""In the order in which they are shown."""

PLAIN = "none"

_OWN = {"data", "model", "model_options", "attention", "seed", "validation", "recipe"}
"""What a study says itself of its trials."""

_AUGMENTS = {
    "classify": ("regard.data.augment", "Augment"),
    "detect": ("regard.data.box_augment", "BoxAugment"),
    "segment": ("regard.data.segmentation_augment", "SegmentationAugment"),
}

_MATCHES = ("parameters", "flops", "none")
_TASKS = ("classify", "detect", "segment")


@dataclass(frozen=True)
class Variant:
    """One of the things that are compared: a network, with attention or without.

    Attributes:
        model: the network of the study that it belongs to, as the study names it; comparisons are
            made between variants of one network.
        name: what it is called beside the others of this network: the attention, `none` for the
            plain network, or the network itself where that was widened to match.
        network: what is built, such as `resnet8` or `resnet8(width=17.5)`.
        attention: what is put into it; `none` for nothing.
        role: `plain`, `attention`, or `matched`: a network without attention that was widened
            until it costs as much as one with attention.
        matched_by: the name of the variant that costs as much without attention; `none` where the
            plain network does; None where the study has no such variants, and without attention.

    """

    model: str
    name: str
    network: str
    attention: str
    role: Role
    matched_by: str | None = None

    @property
    def folder(self) -> str:
        """The name of the folder of its runs."""
        return re.sub(r"[^\w.=]+", "-", f"{self.model}-{self.name}").strip("-")


@dataclass(frozen=True)
class Study:
    """What is compared, on what, and how often.

    Attributes:
        name: what the study is called.
        data: as `regard train --data` takes it.
        models: networks, such as `resnet8` or `resnet20(width=32)`.
        attention: as `regard train --attention` takes it. `none`, the plain network, belongs to
            every study, whether it is named or not.
        seeds: how many (from 0), or which.
        task: `classify`, `detect` or `segment`.
        recipe: how every variant is trained; None for what the task does by default.
        options: further fields of the task's options (`regard.tasks.ClassifyOptions`,
            `DetectOptions`, `SegmentOptions`), the same for all variants, such as
            `{"augment": None}` or `{"size": (320, 416)}`.
        match: what a widened network without attention has as much of as one with it: `parameters`
            or `flops`; `none` leaves the widened networks out.
        match_tolerance: as a share. Where attention adds no more than this, the plain network is
            its match; networks to match that are no farther apart are one.
        learning_rates: where given, each variant is trained with each of them on a part of the
            training images, and keeps the one that is best on the rest. All variants get the same
            number of trials.
        validation: the share of the training images that the learning rates are judged on.
        tuning_seeds: how many seeds each learning rate is tried with.
        margin: what counts as no difference, as a fraction: 0.002 is 0.2 points. It decides no
            figure, only what is said of them; changed after the test split was read, the report
            says so.

    Raises:
        InputError: a value that cannot be meant.

    """

    name: str
    data: str = "scenes"
    models: tuple[str, ...] = ("resnet8",)
    attention: tuple[str, ...] = ("squeeze_excite", "eca", "cbam")
    seeds: int | tuple[int, ...] = 5
    task: str = "classify"
    recipe: Recipe | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    match: str = "parameters"
    match_tolerance: float = 0.02
    learning_rates: tuple[float, ...] = ()
    validation: float = 0.1
    tuning_seeds: int = 1
    margin: float = 0.002

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, and bring the rest to one form."""
        if self.task not in _TASKS:
            raise unknown_name("task", self.task, _TASKS)
        if self.match not in _MATCHES:
            raise unknown_name("match", self.match, _MATCHES)
        if not self.models:
            raise InputError("a study needs a network; give models, such as resnet8")
        seeds = tuple(self.every_seed)
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise InputError(f"seeds={self.seeds!r}; give how many, or different ones from 0 up")
        words = tuple(word.strip() for word in self.attention)
        for what, given in (("network", self.models), ("attention", words)):
            twice = sorted({word for word in given if given.count(word) > 1})
            if twice:
                raise InputError(f"{what} {twice[0]!r} is in the study twice; name each once")
        if not 0 <= self.match_tolerance < 1:
            raise InputError(f"match_tolerance={self.match_tolerance}; give a share from 0 to 1")
        if self.learning_rates and not 0 < self.validation < 1:
            raise InputError(
                f"validation={self.validation}; learning rates are judged on a share of the "
                "training images: give one between 0 and 1"
            )
        if any(not rate > 0 for rate in self.learning_rates) or self.tuning_seeds < 1:
            raise InputError(
                f"learning_rates={self.learning_rates}, tuning_seeds={self.tuning_seeds}; give "
                "rates above 0, and at least one seed"
            )
        if not 0 < self.margin < 1:
            raise InputError(f"margin={self.margin}; give a fraction: 0.002 is 0.2 points")
        taken = sorted(_OWN & self.options.keys())
        if taken:
            raise InputError(f"the option {taken[0]!r} is a field of the study; give it there")
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "models", tuple(model.strip() for model in self.models))
        object.__setattr__(self, "attention", tuple(word for word in words if word != PLAIN))
        object.__setattr__(self, "learning_rates", tuple(self.learning_rates))

    @property
    def every_seed(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def every_recipe(self) -> Recipe:
        """The recipe itself."""
        if self.recipe is not None:
            return self.recipe
        if self.task == "classify":
            return Recipe()
        made = import_module(f"regard.tasks.{self.task}")
        return made.detection_recipe() if self.task == "detect" else made.segmentation_recipe()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return _plain({**told, "recipe": asdict(self.every_recipe)})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Study":
        """Return the study that `to_json` gave the values of.

        Raises:
            InputError: they are not a study's.

        """
        try:
            given = dict(values)
            if given.get("recipe") is not None:
                given["recipe"] = Recipe(**given["recipe"])
            for name in ("models", "attention", "learning_rates", "seeds"):
                if isinstance(given.get(name), list):
                    given[name] = tuple(given[name])
            given["options"] = _options(given.get("task", "classify"), given.get("options") or {})
            return cls(**given)
        except (TypeError, AttributeError) as error:
            raise InputError(f"this is no study: {' '.join(str(error).split())}") from error

    def changed(self, **values: Any) -> "Study":
        """Return this study with those values that are not None put in."""
        return replace(self, **{key: value for key, value in values.items() if value is not None})


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _options(task: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's options from plain values: lists as tuples, augmentation as it is meant."""
    made = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    augment = made.get("augment")
    if isinstance(augment, Mapping) and task in _AUGMENTS:
        module, name = _AUGMENTS[task]
        told = {key: tuple(v) if isinstance(v, list) else v for key, v in augment.items()}
        made["augment"] = getattr(import_module(module), name)(**told)
    return made


def plain_and_attending(study: Study, model: str) -> list[Variant]:
    """Return the plain network and those with attention, before any is matched."""
    plain = Variant(model, PLAIN, model, PLAIN, "plain")
    return [plain, *(Variant(model, a, model, a, "attention") for a in study.attention)]


def check_folders(variants: list[Variant]) -> None:
    """Raise InputError where the runs of two variants would lie in one folder."""
    seen: dict[str, Variant] = {}
    for variant in variants:
        other = seen.setdefault(variant.folder.lower(), variant)
        if other is not variant:
            raise InputError(
                f"{other.name!r} and {variant.name!r} differ in signs only, and their runs would "
                "lie in one folder; leave one out"
            )
