"""The table of methods on a Ray cluster: each unit runs on some machine, the driver alone writes.

Pictures travel as the bytes of their files, so that the machines need not share a file system; a
model is loaded there by its name, so that the folder of a training run has to lie there, too.
"""

from collections.abc import Iterator
from typing import Any

from regard.check.image_rows import Checks
from regard.check.row import Row
from regard.core.errors import InputError, RegardError
from regard.data.image_file import decode_image
from regard.tasks.cluster import cluster
from regard.tasks.methods_table import Plan, Prepared, Skipped, Unit, rows_of

PICTURES = 8
"""Of a unit: enough that loading the model is little, few enough that little is lost with it."""

Sent = tuple[str, bytes, tuple[str, ...]]
"""A picture: its name, the bytes of its file, and the methods to measure."""


def measured_on_ray(plan: Plan, work: list[Unit], address: str) -> Iterator[Row | Skipped]:
    """Do what is to be done on a cluster, and yield the rows of each unit as it comes back.

    A unit whose worker dies is tried once more; then its pictures are skipped, and it is said.

    Args:
        plan: what the table is made of.
        work: units of a few pictures each.
        address: of the cluster, as `ray.init` takes it; `local` for this machine alone.

    Raises:
        InputError: the cluster cannot be reached, or a model cannot be loaded there.
        MissingPackage: `ray` is not installed.

    """
    with cluster(address) as ray:
        yield from _in_flight(ray, plan, work)


def _in_flight(ray: Any, plan: Plan, work: list[Unit]) -> Iterator[Row | Skipped]:
    """Keep every processor busy, and no more pictures in flight than that takes."""
    run = ray.remote(num_cpus=1, max_retries=1)(run_unit)
    room = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting, running = list(reversed(work)), {}
    while waiting or running:
        while waiting and len(running) < room:
            unit = waiting.pop()
            sent, skipped = _read(unit)
            yield from skipped
            if sent:
                running[run.remote(plan.prepare, plan.checks, unit.model, sent)] = unit
        if running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            yield from _result(ray, ready, running.pop(ready))


def _result(ray: Any, ready: Any, unit: Unit) -> Iterator[Row | Skipped]:
    exceptions = ray.exceptions
    try:
        yield from ray.get(ready)
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, RegardError):
            raise error.cause from error
        raise
    except exceptions.RayError as error:
        reason = f"its worker died twice ({type(error).__name__}); the same command tries it again"
        for picture in unit.pictures:
            yield Skipped(picture.name, f"{picture.name}: {reason}", len(picture.methods))


def _read(unit: Unit) -> tuple[list[Sent], list[Skipped]]:
    sent: list[Sent] = []
    skipped: list[Skipped] = []
    for picture in unit.pictures:
        try:
            sent.append((picture.name, picture.path.read_bytes(), picture.methods))
        except OSError as error:
            reason = f"{picture.path} cannot be read ({error.strerror or error})"
            skipped.append(Skipped(picture.name, reason, len(picture.methods)))
    return sent, skipped


# A worker keeps the model of its last unit.
_loaded: dict[str, Prepared] = {}


def run_unit(prepare: Any, checks: Checks, model: str, sent: list[Sent]) -> list[Row | Skipped]:
    """Return the rows of a unit; this is what runs on a worker.

    Args:
        prepare: from a spec to the model.
        checks: how maps are checked.
        model: the spec.
        sent: the pictures.

    """
    if model not in _loaded:
        _loaded.clear()
        _loaded[model] = prepare(model)
    found: list[Row | Skipped] = []
    for name, content, names in sent:
        try:
            image = decode_image(content, name)
        except InputError as error:
            found.append(Skipped(name, str(error), len(names)))
            continue
        found += rows_of(_loaded[model], checks, model, name, image, names)
    return found
