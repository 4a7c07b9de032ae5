"""Train a network and leave a run's folder behind."""

from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import nn

from regard.core.command import command_line
from regard.core.errors import InputError
from regard.core.files import output_folder
from regard.core.run_files import is_finished, read_config
from regard.core.shapes import Images
from regard.train.device import Fabric
from regard.train.loop import CHECKPOINT, EpochBatches, fit
from regard.train.objective import Objective
from regard.train.recipe import Recipe
from regard.train.run_folder import (
    hardware,
    versions,
    write_card,
    write_config,
    write_weights,
)


@runtime_checkable
class Normalisation(Protocol):
    """What training needs of a model's preprocessing."""

    def normalise(self, images: Images) -> Images:
        """Images in [0, 1] to what the network is given."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `config.json`."""
        ...


@dataclass(frozen=True)
class TrainingRun:
    """Everything that a run is, but for the weights.

    Attributes:
        task: `classify`, `detect` or `segment`.
        model: plain values from which the network can be built again.
        preprocessing: how the network wants its images.
        labels: the class names.
        data: name, number of images, fingerprint, augmentation: plain values.
        recipe: how to train.
        seed: decides weights, order, augmentation and dropout.
        choices: what else of the task decides the result, such as its loss: plain values.

    """

    task: str
    model: dict[str, Any]
    preprocessing: Normalisation
    labels: tuple[str, ...]
    data: dict[str, Any]
    recipe: Recipe
    seed: int
    choices: dict[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for a run to be gone on with."""
        return {
            "task": self.task,
            "model": self.model,
            "preprocessing": self.preprocessing.to_json(),
            "labels": list(self.labels),
            "data": self.data,
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            **({"choices": self.choices} if self.choices else {}),
        }


def train_run(
    network: nn.Module,
    run: TrainingRun,
    batches: EpochBatches,
    *,
    out: Path,
    fabric: Fabric,
    objective: Objective,
    validation: EpochBatches | None = None,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    compile: bool = False,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train `network` in place and write the run's folder; go on where an earlier try stopped.

    Args:
        network: with the weights to start from.
        run: what the run is.
        batches: the training images.
        out: the run's folder; made if needed.
        fabric: device, precision and processes, from `start_fabric`.
        objective: the task's loss.
        validation: images to measure after each epoch; never the test split.
        measure: further figures of the network after each epoch (see `fit`).
        compile: run the model through `torch.compile`.
        quiet: show no progress.

    Returns:
        The figures of every epoch.

    Raises:
        InputError: the folder holds a finished run, or another one.

    """
    folder = output_folder(out)
    _claim(folder, run)
    config = {
        **run.identity(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "precision": str(fabric.strategy.precision.precision),
        "hardware": hardware(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
        "command": command_line(),
    }
    if fabric.is_global_zero:
        write_config(folder, config)
    lines = fit(
        network,
        batches,
        out=folder,
        recipe=run.recipe,
        objective=objective,
        normalise=run.preprocessing.normalise,
        validation=validation,
        measure=measure,
        seed=run.seed,
        fabric=fabric,
        compile=compile,
        quiet=quiet,
    )
    if fabric.is_global_zero:
        write_card(folder, config, _final_figures(lines))
        # The weights come last: their presence is what says that a run is finished.
        write_weights(folder, network)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return lines


def _claim(folder: Path, run: TrainingRun) -> None:
    """Refuse a folder that holds a finished run, or the beginning of another one."""
    if is_finished(folder):
        raise InputError(f"{folder} holds a finished run; choose another --out or remove it")
    if not (folder / CHECKPOINT).is_file():
        return
    before = read_config(folder)
    for name, made in (("preprocessing", run.preprocessing), ("recipe", run.recipe)):
        # What a later version added has its default in a run that an earlier one began.
        if isinstance(before.get(name), dict):
            before[name] = _as_json(_defaults(made)) | before[name]
    for name, value in run.identity().items():
        was, now = _differing(before.get(name), _as_json(value))
        if was != now:
            raise InputError(
                f"{folder} holds the beginning of another run ({name} was {was}, now {now}); "
                "choose another --out or remove it"
            )


def _differing(was: Any, now: Any) -> tuple[Any, Any]:
    """Return both values, of mappings only the entries in which they differ."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return was, now
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    before, after = ({name: each[name] for name in names if name in each} for each in (was, now))
    return before, after


def _defaults(made: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that have a default, with it."""
    kept = fields(made) if is_dataclass(made) else ()
    return {field.name: field.default for field in kept if field.default is not MISSING}


def _as_json(value: Any) -> Any:
    """Return `value` as it comes back from a JSON file: tuples as lists."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value


def _final_figures(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Return the figures of the last epoch, in words, for the card."""
    last = dict(lines[-1])
    for name in ("epoch", "lr", "images_per_second"):
        del last[name]
    words = {"train": "training (augmented)", "validation": "validation"}
    return {
        f"{words[split]} {name.replace('_', ' ')}": f"{value:.4f}"
        for split, name, value in ((*name.split("_", 1), value) for name, value in last.items())
    }
