"""`regard evaluate MODEL`: accuracy with its interval, calibration, confusion, worst mistakes."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from regard.cli import evaluate_detector, evaluate_segmenter
from regard.cli.output import JsonOption, console, print_json


def evaluate(
    model: Annotated[str, typer.Argument(help="A run's folder, or bundled:NAME.")],
    data: Annotated[
        str | None,
        typer.Option(help="scenes, cifar10 or a path; by default what the run was trained on."),
    ] = None,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="Where figures go; default RUN/evaluation.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Judge each image with its mirror image (classifiers).")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Measure a model on the test split, and draw its figures and worst mistakes."""
    import json as json_format

    from regard.core.files import output_folder, write_text
    from regard.models.load import load
    from regard.models.run_models import trained_on
    from regard.show.evaluation import confusion_figure, mistakes_figure, save_figure
    from regard.tasks import evaluate as measure

    loaded = load(model)
    folder = output_folder(out or _folder_for(model))
    data = data or trained_on(model)
    result: Any = measure(loaded, data, split=split, device=device, mirror=mirror)
    told = {"detect": evaluate_detector.report, "segment": evaluate_segmenter.report}
    if loaded.task in told:
        told[loaded.task](result, model=loaded.name, split=split, folder=folder, json=json)
        return
    figures = {"model": loaded.name, "split": split, "mirror": mirror, **result.to_json()}
    write_text(folder / "evaluation.json", json_format.dumps(figures, indent=2) + "\n")
    save_figure(confusion_figure(result.confusion, result.labels), folder / "confusion.png")
    save_figure(mistakes_figure(result.mistakes, result.labels), folder / "mistakes.png")
    if json:
        print_json(figures)
        return
    words = console()
    words.print(f"accuracy {result.accuracy}")
    words.print(f"calibration error {result.calibration_error:.2%} (15 bins)")
    table = Table("class", "accuracy", "95 % interval", "images", box=None, pad_edge=False)
    for label, share in result.per_class.items():
        low, high = share.interval
        table.add_row(label, f"{share.value:.1%}", f"{low:.1%} – {high:.1%}", str(share.total))
    words.print(table)
    words.print(f"figures: {folder / 'confusion.png'}, {folder / 'mistakes.png'}")


def _folder_for(model: str) -> Path:
    """Put a run's figures into its folder, and those of a bundled model into this one."""
    if Path(model).is_dir():
        return Path(model) / "evaluation"
    return Path(model.replace(":", "-")) / "evaluation"
