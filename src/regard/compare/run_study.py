"""Run a study: train what is missing, read the test split once, and say what came out."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

from regard.compare.agreement import agreed, note_test_read
from regard.compare.latency import latencies
from regard.compare.matched import with_matches
from regard.compare.pictures import pictures
from regard.compare.progress import StudyProgress
from regard.compare.result import result
from regard.compare.store import Store
from regard.compare.study import Study, Variant, check_folders, plain_and_attending
from regard.compare.task import Networks, test_run
from regard.compare.trial import Trial, final_trials, tuning_trials
from regard.compare.work import Way, in_turn, row_of
from regard.core.command import command_line
from regard.core.errors import InputError
from regard.core.run_files import is_finished
from regard.tasks import Machine
from regard.train import Interrupted


def run(
    study: Study,
    out: str | Path | None = None,
    *,
    machine: Machine | None = None,
    way: Way = in_turn,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run a study in a folder, or go on with it, and return what came out.

    Finished runs are kept however this call ends, and several processes may run the same study in
    the same folder: they share out the runs.

    Args:
        study: what is compared.
        out: the study's folder; by default `studies/NAME`.
        machine: where to train.
        way: how trials are done: one after the other, or on a cluster (`regard.compare.on_ray`).
        quiet: show no progress.

    Returns:
        Plain values, as `findings.json` has them: the study, and for each variant accuracies,
        differences, p-values and a sentence.

    Raises:
        InputError: something that the study names does not exist, or the folder holds another one.
        Interrupted: Ctrl-C; what was running goes on with the same command.

    """
    folder = Path(out) if out is not None else Path("studies") / study.name
    machine = machine or Machine()
    with Store(folder) as store:
        study = agreed(store, study)
        if store.fact("command") is None:
            store.set_fact("command", command_line())
        networks = Networks(study)
        variants = variants_of(study, networks)
        keep_variants(store, variants, networks)
        searches, finals = tuning_trials(study, variants), final_trials(study, variants)
        with StudyProgress(store, variants, [*searches, *finals], quiet=quiet) as progress:
            try:
                way(store, study, [(trial, trial.rate) for trial in searches], machine, progress)
                rates = best_rates(store, study, searches) | kept_rates(store, study, finals)
                chosen = [(trial, rates.get(trial.key[:2])) for trial in finals]
                way(store, study, chosen, machine, progress)
            except Interrupted as error:
                raise Interrupted(progress.interrupted()) from error
        with FileLock(folder / "test.lock"):
            _read_test(store, study, finals, machine)
            # Both are of all variants together: they are made again only where some were added.
            added = len(store.fact("latency") or ()) < len(variants)
            if added:
                store.set_fact("latency", latencies(networks, variants))
            if added or store.fact("pictures") is None:
                store.set_fact("pictures", pictures(study, folder, variants))
        return result(store)


def variants_of(study: Study, networks: Networks) -> list[Variant]:
    """Return all variants of a study, network by network: plain, with attention, matched.

    Raises:
        InputError: a network, mechanism, place or option does not exist.

    """
    cost = networks.counted("flops" if study.match == "flops" else "parameters")
    found = []
    for model in study.models:
        found += with_matches(study, plain_and_attending(study, model), cost)
    check_folders(found)
    return found


def keep_variants(store: Store, variants: Iterable[Variant], networks: Networks) -> None:
    """Keep what the variants are and cost, so that a report needs no data."""
    store.set_fact("variants", [{**vars(v), "cost": vars(networks.cost(v))} for v in variants])


def best_rates(store: Store, study: Study, searches: list[Trial]) -> dict[tuple[str, str], float]:
    """Return for each variant the learning rate that is best on the images held out.

    Raises:
        InputError: training diverged with every rate that was tried.

    """
    reached: dict[tuple[str, str], dict[float, list[float]]] = {}
    for trial in searches:
        content = store.run(trial) or {}
        rates = reached.setdefault(trial.key[:2], {})
        rates.setdefault(trial.key[3], []).append(content.get("validation", -1.0))
    best = {}
    for (model, name), rates in reached.items():
        means = {rate: statistics.mean(values) for rate, values in rates.items()}
        best[model, name] = max(sorted(means), key=means.__getitem__)
        if means[best[model, name]] < 0:
            raise InputError(
                f"{model} {name} diverged with each of the learning rates "
                f"{study.learning_rates}; try lower ones in a new study"
            )
    return best


def kept_rates(store: Store, study: Study, finals: list[Trial]) -> dict[tuple[str, str], float]:
    """Return the rates that finished runs were trained with: a variant keeps the one it has.

    Seeds that were merged in may have been looked for a rate with another seed than is first here.
    """
    if not study.learning_rates:
        return {}
    rows = ((trial.key[:2], store.run(trial) or {}) for trial in finals)
    return {key: row["lr"] for key, row in rows if "lr" in row}


def _read_test(store: Store, study: Study, finals: list[Trial], machine: Machine) -> None:
    """Measure each finished run on the test split; what was measured before is not again.

    Raises:
        InputError: some runs were merged in without their figure, and their weights are elsewhere;
            nothing is read then.

    """
    left = [trial for trial in finals if store.test(trial) is None]
    left = [trial for trial in left if "diverged" not in (store.run(trial) or {})]
    if not left:
        return
    away = [trial for trial in left if not _weights_are_here(store, trial)]
    if away:
        raise InputError(
            f"all is trained, but {len(away)} runs of {store.path.parent} were merged in before "
            f"their test figures were read, and their weights are elsewhere (the first: "
            f"{away[0].words}); finish the study there and merge it once more"
        )
    note_test_read(store)
    device = "cpu" if machine.device == "auto" else machine.device
    for trial in left:
        store.add_test(trial, test_run(study, trial.folder(store.path.parent), device))


def _weights_are_here(store: Store, trial: Trial) -> bool:
    """Return whether the run that counts is the one whose weights lie in its folder."""
    folder, row = trial.folder(store.path.parent), store.run(trial) or {}
    if not is_finished(folder):
        return False
    here = row_of(folder)
    # By their spelling, because NaN is not equal to itself.
    return all(json.dumps(here.get(name)) == json.dumps(value) for name, value in row.items())
