"""What `regard evaluate` says of a detector: mAP with its interval, and AP by class."""

from pathlib import Path
from typing import Any

from rich.table import Table

from regard.cli.output import console, print_json


def report(result: Any, *, model: str, split: str, folder: Path, json: bool) -> None:
    """Write a detector's figures and its page into `folder`, and print them.

    Args:
        result: what `regard.evaluate` returned.
        model: the model's name.
        split: which part of the data was measured.
        folder: exists.
        json: print one JSON value in place of words.

    """
    import json as json_format

    from regard.core.files import write_text
    from regard.show.detection_evaluation import write
    from regard.show.precision_recall import Curve

    figures = {"model": model, "split": split, **result.to_json()}
    write_text(folder / "evaluation.json", json_format.dumps(figures, indent=2) + "\n")
    scores = result.scores
    curves = [
        Curve(label, each.precision, each.best)
        for label, each in enumerate(scores.per_class.values())
        if each.ap50 is not None
    ]
    page = write(
        figures,
        curves,
        result.mistakes,
        result.labels,
        folder / "evaluation.html",
        title=f"Detection by {model}",
        about=f"Measured on the {split} split.",
    )
    if json:
        print_json(figures)
        return
    words = console()
    words.print(f"mAP50 {scores.map50}, n = {scores.images:,} images")
    words.print(f"mAP50-95 {scores.map50_95}")
    table = Table("class", "AP50", "AP50-95", "boxes", box=None, pad_edge=False)
    for label, each in scores.per_class.items():
        if each.ap50 is not None:
            table.add_row(label, str(each.ap50), str(each.ap50_95), f"{each.truths:,}")
    words.print(table)
    absent = [label for label, each in scores.per_class.items() if each.ap50 is None]
    if absent:
        words.print(f"without a true box: {', '.join(absent)}")
    words.print(f"curves and the worst mistakes: {page}")
