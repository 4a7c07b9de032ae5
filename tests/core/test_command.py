import sys

import pytest

from regard.core.command import command_line


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/opt/bin/regard", "train", "--data", "my photos"], "regard train --data 'my photos'"),
        (["/opt/lib/regard/__main__.py", "list", "models"], "regard list models"),
        (
            ["/home/me/regard/study.py", "-n", "3"],
            "from Python",
        ),  # a folder of that name; no such file
        (["-c"], "from Python"),
        ([""], "from Python"),
        ([], "from Python"),
        (["/opt/lib/ipykernel_launcher.py", "-f", "kernel.json"], "from Python"),  # no such file
    ],
)
def test_how_a_process_was_started(monkeypatch, argv, told) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == told


def test_a_script_is_named_with_python(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.py").touch()
    monkeypatch.setattr(sys, "argv", ["study.py", "--seeds", "3"])
    assert command_line() == "python study.py --seeds 3"
