"""`regard train TASK`: a network, with or without attention, trained on your data."""

from pathlib import Path
from typing import Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.cli.train_detect import detect
from regard.cli.train_segment import segment

app = typer.Typer(help="Train a network, with or without attention.", no_args_is_help=True)

_RECIPE = "How to train (default: the recipe's)"
_MACHINE = "Where to train"


def _recipe(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_RECIPE, show_default=False, **limits)


def _machine(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_MACHINE, **limits)


app.command("detect")(detect)
app.command("segment")(segment)


@app.command("classify")
def classify(
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    data: Annotated[
        str,
        typer.Option(help="scenes, cifar10, or a path: archive, parquet, image folder or csv."),
    ] = "scenes",
    model: Annotated[
        str, typer.Option(help="NAME or NAME(option=value). See `regard list models`.")
    ] = "resnet20",
    attention: Annotated[
        str | None,
        typer.Option(
            help="NAME, NAME@PLACE or NAME(option=value)@PLACE, or none. "
            "See `regard list mechanisms`."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the images in pixels.")] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the training images to hold out.", min=0, max=0.9)
    ] = 0.0,
    recipe: Annotated[str, _recipe("default (SGD) or plain-adam.")] = "default",
    epochs: Annotated[int | None, _recipe()] = None,
    batch_size: Annotated[int | None, _recipe()] = None,
    lr: Annotated[float | None, _recipe()] = None,
    weight_decay: Annotated[float | None, _recipe()] = None,
    label_smoothing: Annotated[float | None, _recipe()] = None,
    ema: Annotated[float | None, _recipe()] = None,
    clip: Annotated[float | None, _recipe()] = None,
    augment: Annotated[bool, _recipe("Crop and flip.")] = True,
    cutout: Annotated[int, _recipe("Side of the blanked square.", min=0)] = 0,
    device: Annotated[str, _machine("auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, _machine("auto, bf16 or fp32.")] = "auto",
    devices: Annotated[int, _machine("How many.", min=1)] = 1,
    workers: Annotated[int | None, _machine("Processes that read files.", min=0)] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile.", rich_help_panel=_MACHINE)
    ] = False,
    json: JsonOption = False,
) -> None:
    """Train a classifier. The same command goes on where an interrupted one stopped."""
    from regard.data import Augment
    from regard.models.build import parse_network
    from regard.tasks import ClassifyOptions, Machine, train
    from regard.train import named_recipe

    chosen = named_recipe(recipe).changed(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        ema=ema,
        clip=clip,
    )
    name, model_options = parse_network(model)
    options = ClassifyOptions(
        data=data,
        model=name,
        attention=attention,
        model_options=model_options,
        seed=seed,
        size=size,
        validation=validation,
        recipe=chosen,
        augment=Augment(cutout=cutout) if augment else None,
    )
    machine = Machine(device, precision, devices, workers, compile)
    lines = train(options, out, machine=machine)
    if not lines:  # one of several processes, and not the one that speaks
        return
    if json:
        print_json({"run": str(out), **lines[-1]})
    else:
        accuracy = lines[-1]["train_accuracy"]
        console().print(f"{out}: trained; accuracy on its (augmented) images {accuracy:.2%}")
        console().print(f"next: regard evaluate {out} --data {data}")
