"""`regard train detect`: a network that finds boxes, with or without attention, on your data."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.cli.train_options import (
    BatchSize,
    Clip,
    Compile,
    Device,
    Devices,
    Ema,
    Epochs,
    ImageSize,
    LearningRate,
    Optimizer,
    Out,
    Precision,
    Scale,
    Seed,
    Validation,
    WeightDecay,
    Workers,
    augment_option,
    pretrained_option,
)
from regard.cli.train_segment import image_size


def detect(
    out: Out,
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
    pretrained: Annotated[bool | None, pretrained_option("backbone")] = None,
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
    seed: Seed = 0,
    size: ImageSize = None,
    validation: Validation = 0.0,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    optimizer: Optimizer = None,
    lr: LearningRate = None,
    weight_decay: WeightDecay = None,
    ema: Ema = None,
    clip: Clip = None,
    augment: Annotated[bool, augment_option(help="Scale and crop, flip and colours.")] = True,
    scale: Scale = None,
    flip_vertical: Annotated[bool, augment_option(help="Turn half upside down, too.")] = False,
    mosaic: Annotated[float, augment_option(help="Share made of four images.", min=0, max=1)] = 0.0,
    mosaic_until: Annotated[
        int | None, augment_option(help="No mosaic after so many epochs.")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    devices: Devices = 1,
    workers: Workers = None,
    compile: Compile = False,
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
