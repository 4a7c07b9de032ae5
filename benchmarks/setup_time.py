"""Wall time of `make demo` and `make test` as the first command in a fresh clone, install included.

Each runs in a clone of its own without a `.venv`. Packages come from the package index that pip is
set up with, through pip's cache as it is: a slower network or an empty cache takes longer.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from result import record

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure, and write `results/setup_time.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=["demo", "test"])
    options = parser.parse_args()
    seconds = {f"make_{target}_seconds": timed(target) for target in options.targets}
    record("setup_time", {**seconds, "cores": os.cpu_count()}, n=1)


def timed(target: str) -> float:
    """Return the seconds that `make TARGET` takes in a fresh clone; stop if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "regard"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        # Make's own variables and an active environment would reach into the clone.
        hidden = {"MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV", "PYTHONPATH"}
        clean = {name: value for name, value in os.environ.items() if name not in hidden}
        start = time.perf_counter()
        subprocess.run(["make", target], cwd=clone, env=clean, check=True)
        return round(time.perf_counter() - start, 1)


if __name__ == "__main__":
    main()
