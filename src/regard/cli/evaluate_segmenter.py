"""What `regard evaluate` says of a segmenter: mean IoU, IoU by class, and its worst images."""

from pathlib import Path
from typing import Any

from rich.table import Table

from regard.cli.output import console, print_json


def report(result: Any, *, model: str, split: str, folder: Path, json: bool) -> None:
    """Write a segmenter's figures and pictures into `folder`, and print them.

    Args:
        result: what `regard.evaluate` returned.
        model: the model's name.
        split: which part of the data was measured.
        folder: exists.
        json: print one JSON value in place of words.

    """
    import json as json_format

    from regard.core.files import write_text
    from regard.show.evaluation import save_figure
    from regard.show.segmentation_evaluation import iou_figure, worst_masks_figure

    figures = {"model": model, "split": split, **result.to_json()}
    write_text(folder / "evaluation.json", json_format.dumps(figures, indent=2) + "\n")
    shares = {
        label: (each["IoU"], each["interval"]) for label, each in figures["per_class"].items()
    }
    save_figure(iou_figure(shares, figures["mIoU"]), folder / "iou.png")
    save_figure(worst_masks_figure(result.mistakes, result.labels), folder / "worst.png")
    if json:
        print_json(figures)
        return
    words = console()
    low, high = figures["interval"]
    words.print(
        f"mean IoU {figures['mIoU']:.2%} [{low:.2%}, {high:.2%}], n = {figures['images']:,} images"
    )
    words.print(
        f"pixel accuracy {figures['pixel_accuracy']:.2%}, boundary F1 {figures['boundary_f1']:.2%}"
    )
    table = Table("class", "IoU", "95 % interval", "pixels", box=None, pad_edge=False)
    for label, each in figures["per_class"].items():
        low, high = each["interval"]
        table.add_row(label, f"{each['IoU']:.1%}", f"{low:.1%} – {high:.1%}", f"{each['pixels']:,}")
    words.print(table)
    if figures["absent"]:
        words.print(f"in no image, neither true nor predicted: {', '.join(figures['absent'])}")
    words.print(f"figures: {folder / 'iou.png'}, {folder / 'worst.png'}")
