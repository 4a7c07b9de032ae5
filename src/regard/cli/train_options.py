"""The options that `regard train` has for every task."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


def _in_panel(panel: str, **always: Any) -> Callable[..., Any]:
    """Return what makes an option that the help shows in a panel of its own."""

    def option(*names: str, help: str | None = None, **more: Any) -> Any:
        return typer.Option(*names, help=help, rich_help_panel=panel, **always, **more)

    return option


recipe_option = _in_panel("How to train (default: the recipe's)", show_default=False)
augment_option = _in_panel("How to augment", show_default=False)
machine_option = _in_panel("Where to train")

Out = Annotated[Path, typer.Option(help="The run's folder.")]
Seed = Annotated[int, typer.Option(min=0)]
Validation = Annotated[
    float, typer.Option(help="Share of the training images to hold out.", min=0, max=0.9)
]
ImageSize = Annotated[
    str | None, typer.Option(help="HEIGHTxWIDTH of the images in pixels, or one SIDE.")
]

Epochs = Annotated[int | None, recipe_option()]
BatchSize = Annotated[int | None, recipe_option()]
Optimizer = Annotated[str | None, recipe_option(help="adam or sgd.")]
LearningRate = Annotated[float | None, recipe_option()]
WeightDecay = Annotated[float | None, recipe_option()]
Ema = Annotated[float | None, recipe_option()]
Clip = Annotated[float | None, recipe_option()]
Scale = Annotated[
    tuple[float, float] | None, augment_option(help="Least and greatest random magnification.")
]

Device = Annotated[str, machine_option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, machine_option(help="auto, bf16 or fp32.")]
Devices = Annotated[int, machine_option(help="How many.", min=1)]
Workers = Annotated[int | None, machine_option(help="Processes that read files.", min=0)]
Compile = Annotated[bool, machine_option("--compile", help="Use torch.compile.")]


def pretrained_option(part: str) -> Any:
    """Return the option that fills a part of a network with ImageNet's weights, or does not."""
    return typer.Option(
        "--pretrained/--from-scratch",
        help=f"Start the {part} from ImageNet's weights (default: if it is photo:…).",
        show_default=False,
    )
