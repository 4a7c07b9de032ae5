"""What a person sees while a study runs: a table with the time left, or a line a run."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from regard.compare.store import Store
from regard.compare.study import Variant
from regard.compare.trial import Trial


class StudyProgress:
    """The runs that are finished, by any process, and the time left.

    Args:
        store: of the study.
        variants: rows of the table.
        trials: all that there is to do.
        quiet: show nothing.

    """

    def __init__(
        self, store: Store, variants: Sequence[Variant], trials: Sequence[Trial], *, quiet: bool
    ) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self._store, self._variants, self._trials = store, variants, trials
        self._running: Trial | None = None
        self._since, self._before = time.monotonic(), 0
        self._live: Live | None = None
        if self.console.is_terminal and not quiet:
            self._live = Live(
                console=self.console, get_renderable=self._table, refresh_per_second=1
            )

    def __enter__(self) -> "StudyProgress":
        self._since, self._before = time.monotonic(), len(self._finished())
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def begun(self, trial: Trial) -> None:
        """Note that this process works on a trial."""
        self._running = trial

    def ended(self, trial: Trial) -> None:
        """Note that a trial is finished, and say so where there is no table to look at."""
        self._running = None
        if self._live:
            return
        finished = self._finished()
        row = finished.get(trial.key, {})
        figures = row.get("diverged") or _figures(row)
        self.console.print(
            f"{len(finished)} of {len(self._trials)}  {trial.words}: {figures}  "
            f"{self._left(len(finished))}",
            soft_wrap=True,
            highlight=False,
        )

    def interrupted(self) -> str:
        """Say how far the study is, to whoever stopped it."""
        return (
            f"stopped with {len(self._finished())} of {len(self._trials)} runs finished in "
            f"{self._store.path.parent}; the same command goes on from there"
        )

    def _finished(self) -> dict[tuple[str, str, int, float], dict[str, Any]]:
        rows = ((trial.key, self._store.run(trial)) for trial in self._trials)
        return {key: row for key, row in rows if row is not None}

    def _left(self, finished: int) -> str:
        """Say how long the rest takes, from what all processes finished since this one began."""
        new = finished - self._before
        if finished == len(self._trials):
            return "all trained"
        if not new:
            return "time left is known after the first run"
        seconds = (time.monotonic() - self._since) / new * (len(self._trials) - finished)
        return f"{_duration(seconds)} left"

    def _table(self) -> Table:
        finished = self._finished()
        table = Table(
            box=None,
            pad_edge=False,
            caption=f"{len(finished)} of {len(self._trials)} runs, {self._left(len(finished))}",
        )
        table.add_column("variant")
        table.add_column("runs", justify="right")
        table.add_column("training accuracy, last run", justify="right")
        for variant in self._variants:
            mine = [trial for trial in self._trials if trial.variant == variant]
            rows = [finished[trial.key] for trial in mine if trial.key in finished]
            now = self._running is not None and self._running.variant == variant
            table.add_row(
                f"{variant.model} {variant.name}{' …' if now else ''}",
                f"{len(rows)}/{len(mine)}",
                _figures(rows[-1]) if rows else "",
            )
        return table


def _figures(row: dict[str, Any]) -> str:
    curves = row.get("curves") or [{}]
    accuracy = curves[-1].get("train_accuracy")
    return "" if accuracy is None else f"{accuracy:.1%} on its training images"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
