"""`regard train detect`: a network that finds boxes, with or without attention, on your data."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.cli.train_segment import image_size

_RECIPE = "How to train (default: the recipe's)"
_AUGMENT = "How to augment"
_MACHINE = "Where to train"


def _recipe(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_RECIPE, show_default=False, **limits)


def _augmented(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_AUGMENT, show_default=False, **limits)


def _machine(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_MACHINE, **limits)


def detect(
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    data: Annotated[
        str, typer.Option(help="scenes, or a path: Pascal VOC, COCO or YOLO.")
    ] = "scenes",
    model: Annotated[
        str,
        typer.Option(
            help="retinanet, yolo, faster_rcnn or rt_detr, perhaps with (option=value), or hf:NAME "
            "(an RT-DETR)."
        ),
    ] = "retinanet",
    backbone: Annotated[
        str | None,
        typer.Option(
            help="resnet18, efficientnet_lite0, photo:efficientnet-lite0 (with ImageNet weights), "
            "timm:NAME …, perhaps with (option=value)."
        ),
    ] = None,
    pretrained: Annotated[
        bool | None,
        typer.Option(
            "--pretrained/--from-scratch",
            help="Start the backbone from ImageNet's weights (default: if it is photo:…).",
            show_default=False,
        ),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            help="NAME, NAME@backbone, NAME@neck, NAME@head, NAME@rois (of faster_rcnn) or "
            "NAME@PLACE, each perhaps with (option=value), or none. See `regard list mechanisms`."
        ),
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="retinanet's: focal or cross_entropy.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of the images in pixels, or one SIDE.")
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the training images to hold out.", min=0, max=0.9)
    ] = 0.0,
    epochs: Annotated[int | None, _recipe()] = None,
    batch_size: Annotated[int | None, _recipe()] = None,
    optimizer: Annotated[str | None, _recipe("adam or sgd.")] = None,
    lr: Annotated[float | None, _recipe()] = None,
    weight_decay: Annotated[float | None, _recipe()] = None,
    ema: Annotated[float | None, _recipe()] = None,
    clip: Annotated[float | None, _recipe()] = None,
    augment: Annotated[bool, _augmented("Scale and crop, flip and colours.")] = True,
    scale: Annotated[
        tuple[float, float] | None, _augmented("Least and greatest random magnification.")
    ] = None,
    flip_vertical: Annotated[bool, _augmented("Turn half upside down, too.")] = False,
    mosaic: Annotated[float, _augmented("Share made of four images.", min=0, max=1)] = 0.0,
    mosaic_until: Annotated[int | None, _augmented("No mosaic after so many epochs.")] = None,
    device: Annotated[str, _machine("auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, _machine("auto, bf16 or fp32.")] = "auto",
    devices: Annotated[int, _machine("How many.", min=1)] = 1,
    workers: Annotated[int | None, _machine("Processes that read files.", min=0)] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile.", rich_help_panel=_MACHINE)
    ] = False,
    json: JsonOption = False,
) -> None:
    """Train a detector. The same command goes on where an interrupted one stopped."""
    from regard.models.build import parse_network
    from regard.tasks import DetectOptions, Machine
    from regard.tasks import detect as task

    name, model_options = parse_network(model)
    options = DetectOptions(
        data=data,
        model=name,
        attention=attention,
        backbone=backbone,
        model_options=model_options | ({"loss": loss} if loss else {}),
        pretrained=pretrained,
        seed=seed,
        size=image_size(size),
        validation=validation,
        recipe=task.detection_recipe(
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            ema=ema,
            clip=clip,
        ),
        augment=_augment(augment, scale, flip_vertical, mosaic, mosaic_until),
    )
    machine = Machine(device, precision, devices, workers, compile)
    lines = task.train(options, out, machine=machine)
    if not lines:  # one of several processes, and not the one that speaks
        return
    last = lines[-1]
    if json:
        print_json({"run": str(out), **last})
        return
    seen = f"{out}: trained; loss {last['train_loss']:.3f}"
    if "validation_mAP50" in last:
        seen += f", mAP50 on the images held out {last['validation_mAP50']:.3f}"
    console().print(seen)
    console().print(f"next: regard evaluate {out} --data {data}")


def _augment(
    wanted: bool,
    scale: tuple[float, float] | None,
    flip_vertical: bool,
    mosaic: float,
    mosaic_until: int | None,
) -> Any:
    from regard.core.errors import InputError
    from regard.data.box_augment import BoxAugment

    if not wanted:
        if scale is not None or flip_vertical or mosaic or mosaic_until is not None:
            raise InputError(
                "--scale, --flip-vertical, --mosaic and --mosaic-until have no effect with "
                "--no-augment; leave one or the other out"
            )
        return None
    augment = BoxAugment(flip_vertical=flip_vertical, mosaic=mosaic, mosaic_until=mosaic_until)
    return augment if scale is None else replace(augment, scale=scale)
