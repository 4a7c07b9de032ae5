"""The report of a study: a page, Markdown, figures and the numbers, rebuilt from its rows."""

from pathlib import Path

from regard.compare.result import result
from regard.compare.store import open_store
from regard.show import study_report


def report(folder: str | Path) -> dict[str, Path]:
    """Write the report of a finished study into its folder, and return what was written.

    Raises:
        InputError: the folder holds no study, or one that is not finished.

    """
    with open_store(Path(folder)) as store:
        found = result(store)
    return study_report.write(found, Path(folder) / "report")
