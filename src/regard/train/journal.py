"""A run's diary: `metrics.jsonl`, one line an epoch, and TensorBoard's event file beside it."""

import json
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from regard.core.files import write_text


class Journal:
    """Append-only figures of a run, cut back to the checkpoint on resuming.

    Args:
        folder: the run's folder.
        epoch: the epoch that training goes on with; lines of it and later ones are dropped,
            because those epochs will be done again.

    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self.path = folder / "metrics.jsonl"
        self.lines = [line for line in read_journal(folder) if line["epoch"] < epoch]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))
        # purge_step hides the dropped epochs from TensorBoard's curves too.
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=epoch)

    def write(self, figures: dict[str, Any]) -> None:
        """Add one epoch's figures; `epoch` must be among them."""
        self.lines.append(figures)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")
        for name, value in figures.items():
            if name != "epoch":
                self._board.add_scalar(name, value, figures["epoch"])
        self._board.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        self._board.close()


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a run's `metrics.jsonl`; a line cut off by a kill is left out."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]
