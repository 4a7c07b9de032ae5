"""Rows are safe once they are added, and rows of another configuration are refused."""

import os
import signal

import pytest

from regard.check.row import Figure, Row
from regard.check.rows import FILE, Rows
from regard.core.errors import InputError

CONFIGURATION = {"depth": "quick", "seed": 0}


def row(method="grad_cam", image="a.png", **changes):
    figures = {"deletion": Figure(0.1 + 0.2, "lower", None, 0.05), "gini": Figure(None, "higher")}
    said = {"target": "cät", "level": "weak", "reason": "why", "figures": figures}
    return Row("model", image, method, **said | changes)


def test_rows_come_back_as_they_were_added(tmp_path):
    refused = Row("model", "a.png", "legrad", reason="it has no attention")
    with Rows(tmp_path, CONFIGURATION) as rows:
        rows.add(row())
        rows.add(refused)
    with Rows(tmp_path, CONFIGURATION) as rows:
        assert list(rows) == [row(), refused]
        assert rows.keys() == {row().key, refused.key}


def test_a_row_that_is_added_again_takes_the_place_of_the_first(tmp_path):
    with Rows(tmp_path, CONFIGURATION) as rows:
        rows.add(row(level="weak"))
        rows.add(row(level="faithful"))
        assert [found.level for found in rows] == ["faithful"]


def killed_in_the_fourth_row(folder):
    rows = Rows(folder, CONFIGURATION)
    for number in range(3):
        rows.add(Row("model", f"{number}.png", "grad_cam"))
    rows.file.execute("BEGIN")
    rows.file.execute("INSERT INTO rows VALUES ('model', '3.png', 'grad_cam', '{')")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_loses_the_row_in_work_and_no_other(tmp_path):
    process = os.fork()
    if not process:
        try:
            killed_in_the_fourth_row(tmp_path)
        finally:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    with Rows(tmp_path, CONFIGURATION) as rows:
        assert [found.image for found in rows] == ["0.png", "1.png", "2.png"]
        rows.add(Row("model", "3.png", "grad_cam"))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"depth": "full", "seed": 0}, 'rows with depth "quick", and these are with depth "full"'),
        ({"depth": "quick", "seed": 1}, "with seed 0, and these are with seed 1"),
        ({"depth": "quick"}, "with seed 0, and these are with seed none"),
    ],
)
def test_another_configuration_is_refused_and_harms_nothing(tmp_path, other, words):
    with Rows(tmp_path, CONFIGURATION) as rows:
        rows.add(row())
    with pytest.raises(InputError, match=words):
        Rows(tmp_path, other)
    with Rows(tmp_path, CONFIGURATION) as rows:
        assert list(rows) == [row()]


def test_a_file_that_is_none_is_one_line(tmp_path):
    (tmp_path / FILE).write_text("no rows" * 100)
    with pytest.raises(InputError, match="choose another folder"):
        Rows(tmp_path, CONFIGURATION)
