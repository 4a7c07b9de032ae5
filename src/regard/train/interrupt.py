"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass
class StopRequest:
    """What was asked for since the block began.

    Attributes:
        requested: whether Ctrl-C was pressed.

    """

    requested: bool = False


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Let the first Ctrl-C (or SIGTERM) only set `requested`; the second one kills.

    Outside the main thread, where signals cannot be caught, it does nothing.
    """
    stop = StopRequest()
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.requested = True
        restore()

    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, ask)
        yield stop
    finally:
        restore()
