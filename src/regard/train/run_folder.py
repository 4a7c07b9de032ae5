"""What training leaves in a run's folder: `config.json`, `model.safetensors`, `card.md`."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from regard.core.files import write_bytes, write_text
from regard.core.run_files import CARD, CONFIG, WEIGHTS
from regard.version import __version__


def versions() -> dict[str, str]:
    """Return the versions that a figure depends on."""
    found = {"regard": __version__, "python": platform.python_version(), "torch": torch.__version__}
    for package in ("numpy", "pillow", "timm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> str:
    """Say in words what a figure was measured on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or "CPU"
    return f"{name}, {torch.get_num_threads()} threads"


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write `config.json`."""
    write_text(folder / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def write_weights(folder: Path, model: nn.Module, dtype: torch.dtype | None = None) -> None:
    """Write `model.safetensors`; `dtype` converts the floating-point tensors on the way."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        convert = dtype is not None and tensor.is_floating_point()
        tensors[name] = (tensor.to(dtype) if convert else tensor).cpu().contiguous()
    write_bytes(folder / WEIGHTS, save(tensors))


def write_card(folder: Path, config: dict[str, Any], figures: dict[str, str]) -> None:
    """Write `card.md`: what the run is, how it was made, and what it reaches."""
    model = config["model"]
    rows = {
        "network": f"`{model['name']}`, {config['parameters']:,} parameters",
        "attention": f"`{model['attention'] or 'as the network has it'}`",
        "task": config["task"],
        "data": f"{config['data']['name']}, {config['data']['images']:,} training images",
        "classes": f"{len(config['labels'])}",
        "seed": str(config["seed"]),
        "precision": config["precision"],
        "hardware": config["hardware"],
        "date": config["date"],
        "versions": ", ".join(f"{name} {v}" for name, v in config["versions"].items()),
        **figures,
    }
    recipe = "\n".join(f"- {name}: {value}" for name, value in config["recipe"].items())
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    write_text(
        folder / CARD,
        f"# {folder.name}\n\n| | |\n|---|---|\n{table}\n\n"
        f"## Recipe\n\n{recipe}\n\n## Command\n\n```\n{config['command']}\n```\n",
    )
