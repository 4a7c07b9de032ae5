"""How fast a run trained, from its own figures."""

from pathlib import Path
from statistics import median

from regard.core.run_files import read_config
from regard.train.journal import read_journal


def seconds_an_epoch(folder: Path) -> float:
    """Return the median time of an epoch's training steps; measuring after it does not count."""
    images = read_config(folder)["data"]["images"]
    rates = [line["images_per_second"] for line in read_journal(folder)]
    return round(images / median(rates), 1)
