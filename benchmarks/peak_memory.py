"""The peak memory of a function, in a process of its own."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# glibc keeps freed memory for later, which a peak would count; large blocks go back at once.
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def peak_bytes(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the high-water mark of the resident set of a new process that calls `function`.

    It includes Python, torch and the model: compare two of them. Linux only.

    Args:
        function: at the top level of a module.
        arguments: of the function.

    """
    os.environ.update(_GIVE_BACK)  # of the children only: malloc has read its own already
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of, (function, arguments))


def _peak_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> int:
    function(*arguments)
    # Not ru_maxrss, which a new process inherits from the one that started it.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM")


def available_bytes() -> int:
    """Return how much memory a new process can have without the machine swapping or killing."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo has no MemAvailable")
