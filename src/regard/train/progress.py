"""What a person sees while a network trains: a bar in a terminal, a line an epoch elsewhere."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


class TrainingProgress:
    """Loss, the task's shares, images/s and the time left, on stderr.

    Args:
        epochs: epochs of the whole run.
        steps: steps an epoch.
        done: steps done before (on resuming).
        quiet: show nothing.

    """

    def __init__(self, epochs: int, steps: int, *, done: int = 0, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self._epochs = epochs
        self._finished = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bar.add_task(
            "training", total=epochs * steps, completed=done, figures=""
        )

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        self._since = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, epoch: int, steps: int, figures: dict[str, float], rate: float) -> None:
        """Move on by `steps` steps and show the running figures of this epoch."""
        loss, *shares = figures.items()
        shown = [f"loss {loss[1]:.3f}", *(f"{name} {value:.1%}" for name, value in shares)]
        self._bar.update(
            self._task,
            advance=steps,
            description=f"epoch {epoch + 1}/{self._epochs}",
            figures="  ".join([*shown, f"{rate:,.0f} images/s"]),
        )

    def epoch_done(self, figures: dict[str, Any]) -> None:
        """Say one line, where there is no bar to look at."""
        if self.console.is_terminal:
            return
        done = int(figures["epoch"]) + 1
        self._finished += 1
        left = (time.monotonic() - self._since) / self._finished * (self._epochs - done)
        shown = "  ".join(
            f"{name} {value:.4g}" for name, value in figures.items() if name != "epoch"
        )
        self.console.print(
            f"epoch {done}/{self._epochs}  {shown}  {left / 60:.0f} min left", soft_wrap=True
        )
