"""`regard compare`: did attention help? Several variants, several seeds, one answer."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.core.errors import InputError

if TYPE_CHECKING:
    from regard.compare.study import Study
    from regard.tasks import Machine

_STUDY = "The study (instead of a file, or in place of what the file says)"
_MACHINE = "Where to train"


def _study(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_STUDY, show_default=False, **limits)


def _machine(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_MACHINE, **limits)


def compare(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG | report STUDY]",
            help="A study's .py or .yaml file; or `report` and a study's folder.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[str | None, _study("classify, detect or segment.")] = None,
    data: Annotated[str | None, _study("As in `regard train`.")] = None,
    model: Annotated[str | None, _study("NAME,NAME(option=value),…")] = None,
    attention: Annotated[str | None, _study("none,NAME,NAME(option=value)@PLACE,…")] = None,
    seeds: Annotated[int | None, _study("How many.", min=1)] = None,
    recipe: Annotated[str | None, _study("default (SGD) or plain-adam.")] = None,
    epochs: Annotated[int | None, _study(min=1)] = None,
    lr: Annotated[float | None, _study()] = None,
    batch_size: Annotated[int | None, _study(min=1)] = None,
    learning_rates: Annotated[
        str | None, _study("RATE,RATE,…: tried for every variant on held-out training images.")
    ] = None,
    match: Annotated[
        str | None,
        _study("What widened networks have as much of: parameters, flops, or none."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The study's folder (default: studies/NAME).")
    ] = None,
    processes: Annotated[int, _machine("Runs side by side on this machine.", min=1)] = 1,
    ray: Annotated[
        str | None, _machine("A cluster's HOST:PORT, or local.", show_default=False)
    ] = None,
    trial_cpus: Annotated[float, _machine("Of a run on the cluster.", min=0)] = 1,
    trial_gpus: Annotated[float, _machine("Of a run on the cluster; may be a share.", min=0)] = 0,
    device: Annotated[str, _machine("auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, _machine("auto, bf16 or fp32.")] = "auto",
    devices: Annotated[int, _machine("Devices of one run, through torchrun.", min=1)] = 1,
    json: JsonOption = False,
) -> None:
    """Train variants with several seeds and say whether attention helped.

    The same command goes on where an interrupted one stopped.
    """
    from regard.compare.report_study import report
    from regard.tasks import Machine

    given = list(words or ())
    if given[:1] == ["report"]:
        _only_folder(given)
        _tell(Path(given[1]), report(given[1]), json=json)
        return
    made = _made(
        given,
        task=task,
        data=data,
        models=model,
        attention=attention,
        seeds=seeds,
        match=match,
        learning_rates=learning_rates,
        recipe=recipe,
        changes={"epochs": epochs, "lr": lr, "batch_size": batch_size},
    )
    folder = out or Path("studies") / made.name
    machine = Machine(device, precision, devices)
    _run(made, folder, machine, processes=processes, ray=ray, each=(trial_cpus, trial_gpus))
    _tell(folder, report(folder), json=json)


def _only_folder(given: list[str]) -> None:
    if len(given) != 2:
        raise InputError("give one study's folder, as in `regard compare report studies/NAME`")


def _made(
    given: list[str],
    *,
    models: str | None,
    attention: str | None,
    learning_rates: str | None,
    recipe: str | None,
    changes: dict[str, Any],
    **fields: Any,
) -> "Study":
    """Return the study of the file, with what the command line says in its place."""
    from regard.compare.config import listed, read_study
    from regard.compare.study import Study
    from regard.train import named_recipe

    if len(given) > 1:
        raise InputError(f"give one study's file, not {len(given)}: {' '.join(given)}")
    start = (
        read_study(Path(given[0])) if given else Study("study", task=fields["task"] or "classify")
    )
    try:
        rates = tuple(float(rate) for rate in listed(learning_rates) or ()) or None
    except ValueError as error:
        raise InputError(f"learning rates {learning_rates!r}; give numbers and commas") from error
    how = start.every_recipe if recipe is None else named_recipe(recipe)
    changed = start.changed(
        models=listed(models),
        attention=listed(attention),
        learning_rates=rates,
        recipe=how.changed(**changes),
        **fields,
    )
    return changed if given else replace(changed, name="-".join(changed.models))


def _run(
    study: "Study",
    folder: Path,
    machine: "Machine",
    *,
    processes: int,
    ray: str | None,
    each: tuple[float, float],
) -> None:
    from regard.compare.run_study import run

    if ray is not None:
        from regard.compare.on_ray import on_ray

        if processes > 1:
            raise InputError("--processes is for this machine and --ray for a cluster; give one")
        run(study, folder, machine=machine, way=on_ray(ray, cpus=each[0], gpus=each[1]))
    elif processes > 1:
        from regard.compare.side_by_side import run_side_by_side

        run_side_by_side(study, folder, machine=machine, processes=processes)
    else:
        run(study, folder, machine=machine)


def _tell(folder: Path, written: dict[str, Path], *, json: bool) -> None:
    from json import loads

    found = loads(written["findings.json"].read_text(encoding="utf-8"))
    if json:
        print_json(found)
        return
    words = console()
    for variant in found["variants"]:
        words.print(variant["sentence"])
    for note in found["study"]["notes"]:
        words.print(f"note: {note}")
    words.print(f"open {written['report.html']}")
