"""`regard list`: what there is by name."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.cli.rows import rows_on


class What(StrEnum):
    """What can be listed."""

    models = "models"
    mechanisms = "mechanisms"
    methods = "methods"
    metrics = "metrics"
    data = "data"


def listing(
    what: Annotated[What, typer.Argument(help="What to list.")], json: JsonOption = False
) -> None:
    """List models, mechanisms, methods, metrics or data sources by name."""
    rows = _LISTS[what]()
    if json:
        print_json(rows)
        return
    shown = console()
    for part in rows_on(shown, rows):
        shown.print(part)


def _mechanisms() -> list[dict[str, Any]]:
    from regard.attention import create, mechanisms

    return [
        {
            "name": name,
            "kind": entry.kind,
            "parameters at 64 channels": sum(p.numel() for p in create(name, 64).parameters()),
            "paper": entry.paper,
            "arXiv": entry.arxiv,
        }
        for name, entry in mechanisms.items()
    ]


def _methods() -> list[dict[str, Any]]:
    from regard.explain import methods

    return [
        {
            "name": name,
            "family": entry.family,
            "answers": entry.answers,
            "options": ", ".join(entry.options),
            "paper": entry.paper,
            "arXiv": entry.arxiv,
        }
        for name, entry in methods.items()
    ]


def _metrics() -> list[dict[str, Any]]:
    from regard.check import metrics

    return [
        {
            "name": name,
            "family": entry.family,
            "answers": entry.answers,
            "better": entry.better,
            "needs": ", ".join(entry.needs) or None,
            "options": ", ".join(entry.options),
            "paper": entry.paper,
            "arXiv": entry.arxiv,
        }
        for name, entry in metrics.items()
    ]


def _models() -> list[dict[str, Any]]:
    import regard.models  # noqa: F401 - registers the networks
    from regard.models.load import FORMS
    from regard.models.photo import photo_names
    from regard.models.registry import BY_TASK
    from regard.models.run_models import bundled_names

    trainable = [
        {
            "name": name,
            "use": "train",
            "what": f"regard train {task}",
            "paper": entry.paper,
            "arXiv": entry.arxiv,
        }
        for task, known in BY_TASK.items()
        for name, entry in known.items()
    ]
    ready = dict.fromkeys(
        (f"bundled:{name}" for name in bundled_names()), "its weights are in this package"
    )
    ready |= dict.fromkeys(
        (f"photo:{name}" for name in photo_names()), "weights of the photo extra"
    )
    return [
        *trainable,
        *(
            {
                "name": name,
                "use": "train, ready" if name == "timm:NAME" else "ready",
                "what": what,
                "paper": None,
                "arXiv": None,
            }
            for name, what in (ready | FORMS).items()
        ),
    ]


def _data() -> list[dict[str, Any]]:
    return [
        {"name": "scenes", "what": "synthetic scenes with exact ground truth; the default"},
        {"name": "cifar10", "what": "CIFAR-10, downloaded once and cached"},
        {"name": "PATH", "what": "cifar-10-python.tar.gz, or its unpacked folder"},
        {"name": "PATH", "what": "a folder of parquet files, as on the Hugging Face hub"},
        {"name": "PATH", "what": "a folder with one folder of images a class, or a csv"},
        {"name": "PATH", "what": "to detect: Pascal VOC, COCO JSON, YOLO folders"},
        {"name": "PATH", "what": "to segment: images and masks, Pascal VOC, COCO instances"},
    ]


_LISTS: dict[What, Callable[[], list[dict[str, Any]]]] = {
    What.models: _models,
    What.mechanisms: _mechanisms,
    What.methods: _methods,
    What.metrics: _metrics,
    What.data: _data,
}
