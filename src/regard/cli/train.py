"""`regard train TASK`: a network, with or without attention, trained on your data."""

from typing import Annotated

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.cli.train_detect import detect
from regard.cli.train_options import (
    BatchSize,
    Clip,
    Compile,
    Device,
    Devices,
    Ema,
    Epochs,
    LearningRate,
    Out,
    Precision,
    Seed,
    Validation,
    WeightDecay,
    Workers,
    augment_option,
    recipe_option,
)
from regard.cli.train_segment import segment

app = typer.Typer(help="Train a network, with or without attention.", no_args_is_help=True)

app.command("detect")(detect)
app.command("segment")(segment)


@app.command("classify")
def classify(
    out: Out,
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
    seed: Seed = 0,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the images in pixels.")] = None,
    validation: Validation = 0.0,
    recipe: Annotated[str, recipe_option(help="default (SGD) or plain-adam.")] = "default",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    weight_decay: WeightDecay = None,
    label_smoothing: Annotated[float | None, recipe_option()] = None,
    ema: Ema = None,
    clip: Clip = None,
    augment: Annotated[bool, augment_option(help="Crop and flip.")] = True,
    cutout: Annotated[int, augment_option(help="Side of the blanked square.", min=0)] = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    devices: Devices = 1,
    workers: Workers = None,
    compile: Compile = False,
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
