"""One trial on several devices: torchrun starts a process for each, and Fabric joins them.

Run as a module this is such a process. What it trains comes in a JSON file, and the run's folder
is all that it leaves.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from regard.compare.study import Study, Variant
from regard.compare.task import train_trial
from regard.compare.trial import Trial
from regard.core.errors import InputError, RegardError
from regard.tasks import Machine
from regard.train import Diverged

_DIVERGED = "diverged.txt"


def on_several_devices(
    study: Study, trial: Trial, rate: float | None, out: Path, machine: Machine
) -> None:
    """Train a trial with `machine.devices` processes.

    Raises:
        Diverged: the loss became NaN.
        InputError: a process failed; its own words are on stderr.

    """
    with tempfile.TemporaryDirectory(prefix="regard-") as place:
        job = Path(place) / "job.json"
        job.write_text(json.dumps(_values(study, trial, rate, out, machine)), encoding="utf-8")
        words = ["--standalone", f"--nproc-per-node={machine.devices}", "-m", __spec__.name]
        command = [sys.executable, "-m", "torch.distributed.run", *words, str(job)]
        ended = subprocess.run(command, check=False)
        told = Path(place) / _DIVERGED
        if told.is_file():
            raise Diverged(told.read_text(encoding="utf-8"))
    if ended.returncode:
        raise InputError(
            f"{trial.words} failed on {machine.devices} devices (exit code {ended.returncode}); "
            "see above, or train it with one device"
        )


def _values(
    study: Study, trial: Trial, rate: float | None, out: Path, machine: Machine
) -> dict[str, Any]:
    return {
        "study": study.to_json(),
        "variant": vars(trial.variant),
        "seed": trial.seed,
        "tried": trial.rate,
        "rate": rate,
        "out": str(out),
        "machine": asdict(machine),
    }


def main(job: Path) -> int:
    """Train what a JSON file says, as one process of several; return the exit code."""
    told = json.loads(job.read_text(encoding="utf-8"))
    trial = Trial(Variant(**told["variant"]), told["seed"], told["tried"])
    study, machine = Study.from_json(told["study"]), Machine(**told["machine"])
    try:
        train_trial(study, trial, told["rate"], Path(told["out"]), machine)
    except Diverged as error:
        (job.parent / _DIVERGED).write_text(str(error), encoding="utf-8")
    except RegardError as error:
        sys.stderr.write(f"regard: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
