"""`regard compare`: did attention help? Several variants, several seeds, one answer."""

import inspect
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
            metavar="[CONFIG | report STUDY | export STUDY | merge STUDY PART…]",
            help="A study's .py or .yaml file; or what to do with a study's folder: `report` it, "
            "`export` its runs into one file, or `merge` parts of it (folders or such files).",
            show_default=False,
        ),
    ] = None,
    task: Annotated[str | None, _study("classify, detect or segment.")] = None,
    data: Annotated[str | None, _study("As in `regard train`.")] = None,
    model: Annotated[str | None, _study("NAME,NAME(option=value),…")] = None,
    attention: Annotated[str | None, _study("none,NAME,NAME(option=value)@PLACE,…")] = None,
    seeds: Annotated[str | None, _study("How many, as 5; or which, as 5-9 or 0,3.")] = None,
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
    margin: Annotated[
        float | None, _study("What counts as no difference; 0.002 is 0.2 points (the default).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The study's folder (default: studies/NAME); of `export` the file "
            "(default: STUDY/runs.json)."
        ),
    ] = None,
    processes: Annotated[int, _machine("Runs side by side on this machine.", min=1)] = 1,
    ray: Annotated[
        str | None, _machine("A cluster's HOST:PORT, or local.", show_default=False)
    ] = None,
    trial_cpus: Annotated[
        float | None, _machine("Of a run on the cluster (default: 1).", min=0)
    ] = None,
    trial_gpus: Annotated[
        float | None, _machine("Of a run on the cluster (default: 0); may be a share.", min=0)
    ] = None,
    device: Annotated[str, _machine("auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, _machine("auto, bf16 or fp32.")] = "auto",
    devices: Annotated[int, _machine("Devices of one run, through torchrun.", min=1)] = 1,
    json: JsonOption = False,
) -> None:
    """Train variants with several seeds and say whether attention helped.

    The same command goes on where an interrupted one stopped.
    """
    options = locals()
    from regard.compare.config import which_seeds
    from regard.compare.report_study import report
    from regard.tasks import Machine

    given = list(words or ())
    if given[:1] in (["report"], ["export"], ["merge"]):
        _refuse_other_options(given[0], options)
        _with_study(given, out, json=json)
        return
    made = _made(
        given,
        task=task,
        data=data,
        models=model,
        attention=attention,
        seeds=which_seeds(seeds),
        match=match,
        margin=margin,
        learning_rates=learning_rates,
        recipe=recipe,
        changes={"epochs": epochs, "lr": lr, "batch_size": batch_size},
    )
    folder = out or Path("studies") / made.name
    machine = Machine(device, precision, devices)
    each = {"cpus": trial_cpus, "gpus": trial_gpus}
    _run(made, folder, machine, processes=processes, ray=ray, each=each)
    _tell(folder, report(folder), json=json)


def _with_study(given: list[str], out: Path | None, *, json: bool) -> None:
    """Do what the first word says with a study that is there."""
    from regard.compare.report_study import report

    verb, *places = given
    if verb == "merge":
        if len(places) < 2:
            raise InputError(
                "give a study's folder and what to merge into it, as in "
                "`regard compare merge studies/NAME part.json`"
            )
        _merge(Path(places[0]), places[1:], json=json)
        return
    if len(places) != 1:
        raise InputError(f"give one study's folder, as in `regard compare {verb} studies/NAME`")
    folder = Path(places[0])
    if verb == "export":
        _export(folder, out or folder / "runs.json", json=json)
    else:
        _tell(folder, report(folder), json=json)


def _refuse_other_options(verb: str, options: dict[str, Any]) -> None:
    """Raise InputError where an option was given that this verb would ignore."""
    used = {"words", "json"} | ({"out"} if verb == "export" else set())
    for name, parameter in inspect.signature(compare).parameters.items():
        if name not in used and options[name] != parameter.default:
            raise InputError(
                f"`regard compare {verb}` takes no --{name.replace('_', '-')}; leave it out, or "
                "give a study's file instead"
            )


def _export(folder: Path, file: Path, *, json: bool) -> None:
    from regard.compare.part import export

    part = export(folder, file)
    counts = {"runs": len(part.runs), "tests": len(part.tests)}
    if json:
        print_json({"file": str(file), **counts})
        return
    console().print(
        f"{counts['runs']} finished runs, {counts['tests']} with their test figure: {file}"
    )


def _merge(folder: Path, others: list[str], *, json: bool) -> None:
    from dataclasses import asdict

    from regard.compare.merge import merge

    taken = merge(folder, others)
    if json:
        parts = [{**asdict(part), "where": str(part.where)} for part in taken]
        print_json({"study": str(folder), "parts": parts})
        return
    words = console()
    for part in taken:
        words.print(
            f"{part.where}: {part.runs} runs and {part.tests} test figures taken; "
            f"{part.known} runs were there already"
        )
        for run in part.kept:
            words.print(f"note: {run} is there with other figures, and stays as it is")
    words.print(f"see `regard compare report {folder}`")


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
    each: dict[str, float | None],
) -> None:
    from regard.compare.run_study import run

    given = {name: value for name, value in each.items() if value is not None}
    if given and ray is None:
        options = " and ".join(f"--trial-{name}" for name in given)
        raise InputError(f"{options} is for a cluster; give --ray HOST:PORT too, or leave it out")
    if ray is not None:
        from regard.compare.on_ray import on_ray

        if processes > 1:
            raise InputError("--processes is for this machine and --ray for a cluster; give one")
        run(study, folder, machine=machine, way=on_ray(ray, **given))
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
