"""The files of a run's folder, as training writes and loading reads them."""

import json
from pathlib import Path
from typing import Any

from regard.core.errors import InputError

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "card.md"


def read_config(folder: Path) -> dict[str, Any]:
    """Read a run's `config.json`.

    Raises:
        InputError: the folder is no run, or the file is damaged.

    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{folder} is not a run: it holds no {CONFIG}; give a folder that "
            "`regard train … --out` wrote"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is damaged: it holds {type(config).__name__}, not an object")
    return config


def is_finished(folder: Path) -> bool:
    """Return whether the folder holds a run that ended well: the weights are written last."""
    return (folder / WEIGHTS).is_file()
