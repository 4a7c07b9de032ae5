"""Where a benchmark's figures go: one JSON file with all that is needed to judge them."""

import json
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regard.core.files import write_text
from regard.train.run_folder import hardware, versions

RESULTS = Path(__file__).parent / "results"


def record(name: str, figures: dict[str, Any], *, n: int) -> Path:
    """Write `results/NAME.json`.

    Args:
        name: of the benchmark, and of its script.
        figures: what was measured, with units in the keys.
        n: how many repetitions, seeds or images the figures rest on.

    """
    path = RESULTS / f"{name}.json"
    # Where data lies on this machine is nobody else's business.
    arguments = [Path(word).name if word.startswith(("/", "..")) else word for word in sys.argv[1:]]
    content = {
        "name": name,
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments]),
        "date": datetime.now(UTC).date().isoformat(),
        "hardware": hardware(),
        "system": platform.platform(terse=True),
        "versions": versions(),
        "n": n,
        "figures": figures,
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    return path
